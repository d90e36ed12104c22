"""What the subjects of the safety set were given: a row for each parameter of ADEX."""

from __future__ import annotations

import pandas as pd

from fhir2cdisc.results.analysis import Analysis
from fhir2cdisc.results.endpoint_table import Endpoint, Scope, counted, plain


def exposure(analysis: Analysis) -> list[Endpoint]:
    """Subjects with completed radiotherapy, and the median of every other parameter.

    No row where there is no ADEX: exposure is no endpoint that could be missed.
    """
    found = analysis.records("ADEX", "SAFFL")
    if found is None:
        return []
    total = len(analysis.subjects("SAFFL"))
    names = found.drop_duplicates("PARAMCD").sort_values(["PARCAT1", "PARAMCD"])
    rows = []
    for paramcd, param in names[["PARAMCD", "PARAM"]].to_numpy().tolist():
        records = found[found["PARAMCD"].eq(paramcd)]
        id_, label = f"EXPOSURE-{paramcd}", f"Exposure: {param}"
        scope = analysis.scope("ADEX", "SAFFL", PARAMCD=paramcd)
        if records["AVALC"].notna().any():
            rows.append(_answered(id_, label, scope, records["AVALC"]))
        else:
            rows.append(_median(id_, label, scope, records["AVAL"], total))
    return rows


def _answered(id_: str, label: str, scope: Scope, answers: pd.Series) -> Endpoint:
    counts = (int(answers.eq("Y").sum()), int(answers.notna().sum()))
    method = "Subjects with Y, out of those of whom it is known."
    return counted(id_, label, scope, counts, unit="subjects", method=method, role="supplementary")


def _median(id_: str, label: str, scope: Scope, values: pd.Series, total: int) -> Endpoint:
    """The median of those of whom it is known; what else describes them is in the method."""
    return plain(
        id_, label, scope, (len(values), total),
        statistic="median", value=float(values.median()),
        unit=label.partition("(")[2].partition(")")[0] or "number",
        method=f"Median of the {len(values)} subjects of whom it is known; mean "
        f"{values.mean():.6g}, smallest {values.min():.6g}, largest {values.max():.6g}.",
    )  # fmt: skip
