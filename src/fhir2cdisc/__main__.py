"""``python -m fhir2cdisc``."""

from fhir2cdisc.cli import main

main()
