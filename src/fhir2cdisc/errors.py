"""Everything this package raises.

    Fhir2CdiscError
    ├── StudyError            the study configuration cannot be used
    ├── DeclarationError      a mapping or parameter is not well formed
    │   └── PathError         a FHIR path cannot be read
    ├── SourceError           a source cannot be read at all
    ├── OutputError           the results cannot be written
    └── NameUnknown           nothing in the output has the name that is asked for

Data that is merely *wrong* never raises: it becomes an `Issue` (see `core.issue`) and its
resource is in the ledger.
"""

from __future__ import annotations


class Fhir2CdiscError(Exception):
    """Base of every exception raised by fhir2cdisc."""


class StudyError(Fhir2CdiscError):
    """The study configuration cannot be used."""


class DeclarationError(Fhir2CdiscError):
    """A mapping or parameter declaration is not well formed."""


class PathError(DeclarationError):
    """A FHIR path cannot be read."""

    def __init__(self, path: str, at: str) -> None:
        super().__init__(f"cannot read FHIR path {path!r} at {at!r}")
        self.path = path
        self.at = at


class SourceError(Fhir2CdiscError):
    """A source cannot be read at all."""


class OutputError(Fhir2CdiscError):
    """The results cannot be written."""


class NameUnknown(Fhir2CdiscError):  # noqa: N818  # it is the name that is in error
    """Nothing in the output has the name that is asked for."""
