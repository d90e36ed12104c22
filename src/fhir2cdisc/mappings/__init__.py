"""How each SDTM domain is made from FHIR: declarations, one module a domain."""

from __future__ import annotations

from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.mappings.ae import AE
from fhir2cdisc.mappings.cm import CM
from fhir2cdisc.mappings.dm import DM
from fhir2cdisc.mappings.ds import DS
from fhir2cdisc.mappings.ex import EX
from fhir2cdisc.mappings.pr import PR
from fhir2cdisc.mappings.rs import RS
from fhir2cdisc.mappings.ss import SS
from fhir2cdisc.mappings.tr import TR
from fhir2cdisc.mappings.tu import TU

# In the order of evaluation: a domain may read those before it; DM reads the dates of all.
MAPPINGS: tuple[tuple[DomainMapping, ...], ...] = (EX, PR, CM, TU, TR, RS, AE, DS, SS, DM)
