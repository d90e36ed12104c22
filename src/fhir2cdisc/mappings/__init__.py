"""How each SDTM domain is made from FHIR: declarations, one module a domain."""
