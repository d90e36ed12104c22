"""What ADaM says: variables, parameters, and how they are derived."""

from __future__ import annotations

from fhir2cdisc.adam.datasets.adae import ADAE
from fhir2cdisc.adam.datasets.adex import ADEX
from fhir2cdisc.adam.datasets.adles import ADLES
from fhir2cdisc.adam.datasets.adrs import ADRS
from fhir2cdisc.adam.datasets.adsl import ADSL
from fhir2cdisc.adam.datasets.adtr import ADTR
from fhir2cdisc.adam.datasets.adtte import ADTTE
from fhir2cdisc.core.derivation import Derivation

DERIVATIONS: tuple[Derivation, ...] = (ADSL, ADTR, ADLES, ADRS, ADTTE, ADAE, ADEX)
"""The analysis datasets in the order in which they are derived: each may use those before it."""
