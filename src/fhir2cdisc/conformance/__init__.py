"""Rules that the datasets are checked against; a record that breaks one is a finding."""

from __future__ import annotations

from fhir2cdisc.conformance.check import Check
from fhir2cdisc.conformance.dates import DATE_CHECKS
from fhir2cdisc.conformance.responses import RESPONSE_CHECKS
from fhir2cdisc.conformance.treatment import TREATMENT_CHECKS
from fhir2cdisc.conformance.tumours import TUMOUR_CHECKS

CHECKS: tuple[Check, ...] = (*TUMOUR_CHECKS, *RESPONSE_CHECKS, *TREATMENT_CHECKS, *DATE_CHECKS)
"""Every rule, in the order in which findings are listed."""
