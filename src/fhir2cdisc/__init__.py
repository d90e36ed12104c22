"""FHIR to CDISC: SDTM, ADaM and trial endpoints, with the FHIR record behind every number."""

__version__ = "0.1.0"
