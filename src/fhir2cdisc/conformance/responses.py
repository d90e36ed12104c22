"""Checks of the responses that readers gave: Q10 to Q14."""

from __future__ import annotations

import pandas as pd

from fhir2cdisc.conformance.check import Check, records, together
from fhir2cdisc.conformance.tumour_data import NOT_EVALUABLE, Tumours
from fhir2cdisc.core.variables import number, text

_RECIST = "RECIST 1.1 (Eisenhauer 2009)"
_NOT_PD = ("CR", "PR", "SD", "NON-CR/NON-PD")


def differing_responses(tumours: Tumours) -> pd.DataFrame:
    """What the study's evaluator collected; a progression that is none by its size is Q13."""
    table = tumours.frame("CONCORDANCE")
    broken = (text(table, "COMPARED") == "INV-DERIVED") & (text(table, "AGREE") == "N")
    broken &= ~text(table, "PARAMCD").isin(["BOR", "CBOR", "IBOR"]) & ~_small_increases(tumours)
    message = text(table, "PARAM") + " is not the derived one: " + text(table, "REASON")
    said = number(table, "RSSEQ").notna()
    # That a reader saw no new lesion is no record of his.
    return together(
        records("RS", table, broken & said, message, "RSSEQ"),
        records("RS", table, broken & ~said, message, "RSLNKGRP"),
    )


def less_after_complete(tumours: Tumours) -> pd.DataFrame:
    overall = _overall(tumours)
    after = overall["day"] > _first_day(overall, "CR")
    broken = after & overall["value"].isin(["PR", "SD", "NON-CR/NON-PD"])
    broken &= ~(_first_day(overall, "PD") <= overall["day"])
    return records("RS", overall, broken, "Disease after a complete response, but no PD", "RSSEQ")


def response_after_progression(tumours: Tumours) -> pd.DataFrame:
    overall = _overall(tumours)
    broken = (overall["day"] > _first_day(overall, "PD")) & overall["value"].isin(["CR", "PR"])
    return records("RS", overall, broken, "Response after progression", "RSSEQ")


def _overall(tumours: Tumours) -> pd.DataFrame:
    table = tumours.responses
    return table[(table["test"] == "OVRLRESP") & table["day"].notna()]


def _first_day(overall: pd.DataFrame, value: str) -> pd.Series:
    """The first day on which the reader of each record gave a response to the subject."""
    days = overall["day"].where(overall["value"] == value)
    return days.groupby([overall["USUBJID"], overall["reader"]]).transform("min")


def small_progressions(tumours: Tumours) -> pd.DataFrame:
    least = tumours.study.response.pd_abs_mm
    message = f"Target progression with less than {least:g} mm above the smallest sum"
    table = tumours.frame("CONCORDANCE")
    return records("RS", table, _small_increases(tumours), message, "RSSEQ")


def _small_increases(tumours: Tumours) -> pd.Series:
    """True where the reader's target PD is none by ADTR, which has too small an increase."""
    table = tumours.frame("CONCORDANCE")
    suspect = (text(table, "COMPARED") == "INV-DERIVED") & (text(table, "PARAMCD") == "TRG")
    suspect &= (text(table, "AVALC") == "PD") & text(table, "AVALC2").ne("PD")
    asked = pd.DataFrame({"USUBJID": text(table, "USUBJID"), "ASEQ": number(table, "ASEQ2")})
    asked = asked[suspect].rename_axis("row").reset_index()
    adrs = tumours.frame("ADRS").filter(items=["USUBJID", "PARAMCD", "ASEQ", "SRCDOM", "SRCSEQ"])
    adrs = adrs[text(adrs, "PARAMCD").eq("TRG") & text(adrs, "SRCDOM").eq("ADTR")]
    adtr = tumours.frame("ADTR")
    of_sum = pd.DataFrame(
        {"USUBJID": text(adrs, "USUBJID"), "ASEQ": number(adrs, "ASEQ"),
         "SUM": number(adrs, "SRCSEQ")}
    )  # fmt: skip
    sums = pd.DataFrame(
        {"USUBJID": text(adtr, "USUBJID"), "SUM": number(adtr, "ASEQ"),
         "CHGNAD": number(adtr, "CHGNAD")}
    )  # fmt: skip
    found = asked.merge(of_sum, on=["USUBJID", "ASEQ"]).merge(sums, on=["USUBJID", "SUM"])
    small = found.loc[found["CHGNAD"] < tumours.study.response.pd_abs_mm, "row"]
    return pd.Series(table.index.isin(small), index=table.index)


def not_evaluable_without_reason(tumours: Tumours) -> pd.DataFrame:
    """A reason at any lesion or response of the assessment explains its responses."""
    results, responses = tumours.results, tumours.responses
    absent = ~results["done"] | results["result"].isin(NOT_EVALUABLE)
    unknown = responses["value"].isin(NOT_EVALUABLE)
    unknown &= responses["test"].isin(["OVRLRESP", "TRGRESP", "NTRGRESP"])
    parts = (results[absent & results["reason"].notna()], responses[responses["reason"].notna()])
    explained = pd.MultiIndex.from_frame(pd.concat([_assessments(part) for part in parts]))
    here = pd.MultiIndex.from_frame(_assessments(responses)).isin(explained)
    return together(
        records("TR", results, absent & results["reason"].isna(),
                "Lesion was not evaluated, and no reason is given", "TRSEQ"),
        records("RS", responses, unknown & responses["reason"].isna() & ~here,
                "Response is not evaluable, and no reason is given", "RSSEQ"),
    )  # fmt: skip


def _assessments(frame: pd.DataFrame) -> pd.DataFrame:
    """Subject and name of the assessment of each record, else its visit."""
    visit = "VISITNUM " + frame["VISITNUM"].astype("str")
    return pd.DataFrame({"USUBJID": frame["USUBJID"], "at": frame["group"].fillna(visit)})


RESPONSE_CHECKS = (
    Check(
        id="Q10",
        code="QC0010",
        rule="The response that a reader gave is the one that follows from his measurements.",
        source=f"{_RECIST}, sections 4.3 and 4.4",
        needs=("RS", "CONCORDANCE"),
        prepare=Tumours,
        find=differing_responses,
    ),
    Check(
        id="Q11",
        code="QC0011",
        rule="After a complete response any disease is progression.",
        source=f"{_RECIST}, Table 3, note a",
        needs=("RS",),
        prepare=Tumours,
        find=less_after_complete,
    ),
    Check(
        id="Q12",
        code="QC0012",
        rule="There is no response after progression.",
        source=f"{_RECIST}, section 4.4",
        needs=("RS",),
        prepare=Tumours,
        find=response_after_progression,
    ),
    Check(
        id="Q13",
        code="QC0013",
        rule="Progression of target lesions is an increase of at least 5 mm (pd_abs_mm).",
        source=f"{_RECIST}, section 4.3.1",
        needs=("RS", "CONCORDANCE", "ADRS", "ADTR"),
        prepare=Tumours,
        find=small_progressions,
    ),
    Check(
        id="Q14",
        code="QC0014",
        rule="What was not evaluated has a reason.",
        source="SDTMIG v3.4, section 4.5.1.2 and TR; RECIST 1.1 supplement of CDISC",
        needs=("TR",),
        prepare=Tumours,
        find=not_evaluable_without_reason,
    ),
)
