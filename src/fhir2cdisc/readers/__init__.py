"""From files to memory: FHIR resources, and datasets where SDTM already exists."""
