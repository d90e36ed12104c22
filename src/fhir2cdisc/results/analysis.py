"""What the endpoints look at: the analysis datasets, the study, and where to report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.text import is_among
from fhir2cdisc.results.endpoint_table import Scope
from fhir2cdisc.results.survival import Scale
from fhir2cdisc.study import Study

SETS = {
    "ITTFL": "All enrolled subjects",
    "FASFL": "Full analysis set: enrolled and treated",
    "EVLFL": "Response evaluable subjects",
    "SAFFL": "Safety set: any study treatment",
}


@dataclass(frozen=True, slots=True)
class Analysis:
    """The analysis datasets by name, the study, the issues, and the rules of ADTTE by PARAMCD."""

    adam: Mapping[str, pd.DataFrame]
    study: Study
    issues: Issues
    definitions: Mapping[str, str]
    groups: pd.Series | None = None
    """The group of each subject by USUBJID, where groups are compared."""

    def subjects(self, flag: str) -> pd.Series:
        """USUBJID of the subjects of a population."""
        adsl = self.adam["ADSL"]
        return adsl.loc[adsl[flag].eq("Y"), "USUBJID"]

    def records(self, dataset: str, flag: str, **where: str) -> pd.DataFrame | None:
        """The records of a population that have these values; None if there is no dataset."""
        frame = self.adam.get(dataset)
        if frame is None:
            return None
        kept = pd.Series(data=True, index=frame.index)
        for name, value in where.items():
            kept &= frame[name].eq(value)
        found = frame[kept]
        return found[is_among(found["USUBJID"], self.subjects(flag))]

    def scope(self, dataset: str, flag: str, **where: str) -> Scope:
        """The same in words."""
        condition = ", ".join(f"{name} = {value}" for name, value in where.items())
        return Scope(SETS[flag], dataset, f"{flag} = Y" + (f"; {condition}" if condition else ""))

    def definition(self, paramcd: str) -> str:
        """The rule of a parameter of ADTTE in sentences."""
        return self.definitions.get(paramcd, f"{paramcd} of ADTTE.")

    @property
    def population(self) -> str:
        """The flag of the set on which response, control and survival are analysed."""
        return self.study.endpoints.population

    @property
    def level(self) -> float:
        return self.study.endpoints.confidence_level

    @property
    def scale(self) -> Scale:
        """The scale of the limits of survival curves."""
        return self.study.endpoints.survival_interval

    @property
    def percent(self) -> str:
        return f"{self.level * 100:g} %"
