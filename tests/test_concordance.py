"""Concordance: what a reader said beside what the lesions give, and beside another reader."""

from __future__ import annotations

import math
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.results.agreement import kappa
from fhir2cdisc.results.analysis import Analysis
from fhir2cdisc.results.concordance import COLUMNS, NAME, compare_responses, count_agreement
from fhir2cdisc.results.endpoint_table import EndpointTable
from fhir2cdisc.study import Study

READER = {"": "DERIVED", "INV": "INVESTIGATOR", "IRC": "INDEPENDENT ASSESSOR"}


def adrs_of(text: str) -> pd.DataFrame:
    """ADRS of a table; day 0 is 2021-03-01."""
    frame = pd.read_csv(
        StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str",
        keep_default_na=False,
    )  # fmt: skip
    frame = frame.mask(frame == "")
    day = pd.to_numeric(frame.pop("DAY"))
    frame["ADT"] = (pd.Timestamp("2021-03-01") + pd.to_timedelta(day, unit="D")).astype(
        "datetime64[s]"
    )
    ending = frame["PARAMCD"].str.extract("(INV|IRC)$", expand=False).fillna("")
    frame["PARCAT2"] = ending.map(READER)
    collected = (ending != "") & ~frame["PARAMCD"].str.contains("BOR")
    frame["SRCDOM"] = pd.Series("RS", index=frame.index, dtype="str").where(collected)
    frame["SRCSEQ"] = np.arange(len(frame)) + 1.0
    frame["ASEQ"] = np.arange(len(frame)) + 1.0
    return frame


def compared(text: str, *, linked: bool = True, **settings: int) -> pd.DataFrame:
    tr = pd.DataFrame({"TRLNKGRP": pd.Series(["A1" if linked else None], dtype="str")})
    study = Study(response=settings)  # type: ignore[arg-type]
    table = compare_responses({"ADRS": adrs_of(text), "TR": tr}, study)
    assert list(table.columns) == list(COLUMNS)
    return table


def verdicts(table: pd.DataFrame) -> list[str]:
    names = ["PARAMCD", "AVALC", "AVALC2", "AGREE", "REASON"]
    rows = table[names].astype("str").fillna("-").to_numpy().tolist()
    return [" ".join(row) for row in rows]


def test_a_link_group_joins_what_belongs_together_whatever_the_dates() -> None:
    table = compared("""
USUBJID | PARAMCD | RSLNKGRP | DAY | AVALC
01      | OVR     | A2       | 42  | PR
01      | OVR     | A3       | 84  | PD
01      | OVRINV  | A2       | 83  | PR
01      | OVRINV  | A3       | 84  | SD
""")
    assert verdicts(table) == ["OVR PR PR Y DATES DIFFER", "OVR SD PD N PROGRESSION DIFFERS"]
    assert table["DIFFDY"].tolist() == [41, 0]
    assert table["RSSEQ"].tolist() == [3, 4]
    assert table["ASEQ2"].tolist() == [1, 2]


def test_without_link_groups_the_nearest_date_within_the_window_decides() -> None:
    said = """
USUBJID | PARAMCD | RSLNKGRP | DAY | AVALC
01      | OVR     | A2       | 42  | PR
01      | OVR     | A3       | 84  | SD
01      | OVRINV  | A3       | 45  | PR
01      | OVRINV  |          | 99  | SD
"""
    expected = ["OVR PR PR Y DATES DIFFER", "OVR SD - - DERIVED MISSING",
                "OVR - SD - INVESTIGATOR MISSING"]  # fmt: skip
    assert verdicts(compared(said, linked=False)) == expected
    assert verdicts(compared(said, linked=False, reading_window_days=15)) == [
        "OVR PR PR Y DATES DIFFER",
        "OVR SD SD Y DATES DIFFER",
    ]


def test_a_reason_says_who_could_not_evaluate() -> None:
    table = compared("""
USUBJID | PARAMCD | RSLNKGRP | DAY | AVALC
01      | TRG     | A2       | 42  | NE
01      | TRGINV  | A2       | 42  | PR
01      | TRG     | A3       | 84  | SD
01      | TRGINV  | A3       | 84  | NE
01      | TRG     | A4       | 126 | SD
01      | TRGINV  | A4       | 126 | PR
""")
    assert verdicts(table) == [
        "TRG PR NE N DERIVED NE",
        "TRG NE SD N INVESTIGATOR NE",
        "TRG PR SD N RESPONSE DIFFERS",
    ]


def test_a_reader_who_records_new_lesions_says_no_where_he_records_none() -> None:
    table = compared("""
USUBJID | PARAMCD | RSLNKGRP | DAY | AVALC
01      | OVR     | A2       | 42  | SD
01      | OVR     | A3       | 84  | PD
01      | NEWL    | A2       | 42  | N
01      | NEWL    | A3       | 84  | UNEQUIVOCAL
01      | OVRINV  | A2       | 42  | SD
01      | OVRINV  | A3       | 84  | PD
01      | NEWLINV | A3       | 84  | EQUIVOCAL
""")
    new = table[table["PARAMCD"] == "NEWL"]
    assert verdicts(new) == ["NEWL N N Y -", "NEWL EQUIVOCAL UNEQUIVOCAL N RESPONSE DIFFERS"]


def test_best_responses_are_compared_as_derived_of_each_and_as_collected_with_the_confirmed() -> (
    None
):
    table = compared("""
USUBJID | PARAMCD | RSLNKGRP | DAY | AVALC
01      | OVRINV  | A2       | 42  | PR
01      | BORINV  |          | 42  | PR
01      | CBORINV |          | 42  | SD
01      | BESTINV | A9       | 200 | PR
01      | BOR     |          | 42  | PR
01      | CBOR    |          | 42  | PR
02      | BORINV  |          |     | MISSING
02      | BOR     |          | 42  | PR
""")
    assert set(table["USUBJID"]) == {"01"}, "the reader assessed nobody else"
    assert verdicts(table) == [
        "BEST PR PR Y -", "BOR PR PR Y -", "CBOR SD PR N RESPONSE DIFFERS",
    ]  # fmt: skip


def test_responses_by_irecist_are_compared_apart() -> None:
    table = compared("""
USUBJID | PARAMCD  | RSLNKGRP | DAY | AVALC
01      | OVR      | A2       | 42  | PD
01      | OVRINV   | A2       | 42  | PD
01      | IOVR     | A2       | 42  | iUPD
01      | IOVRINV  | A2       | 42  | iSD
01      | IOVR     | A3       | 84  | iCPD
01      | IOVRINV  | A3       | 84  | iUPD
01      | IBOR     |          | 84  | iCPD
01      | IBORINV  |          | 42  | iSD
01      | IBESTINV | A9       | 200 | iCPD
""")
    assert verdicts(table) == [
        "IBEST iCPD iCPD Y -",
        "IBOR iSD iCPD N PROGRESSION DIFFERS",
        "IOVR iSD iUPD N PROGRESSION DIFFERS",
        "IOVR iUPD iCPD N RESPONSE DIFFERS",
        "OVR PD PD Y -",
    ]


def test_two_readers_are_compared_on_the_subjects_of_both() -> None:
    table = compared("""
USUBJID | PARAMCD | RSLNKGRP | DAY | AVALC
01      | OVRINV  | A2       | 42  | PR
01      | OVRIRC  | A2       | 42  | SD
02      | OVRINV  | A2       | 42  | PR
03      | OVRIRC  | A2       | 42  | PR
01      | OVR     | A2       | 42  | PR
""")
    both = table[table["COMPARED"] == "INV-IRC"]
    assert both["USUBJID"].tolist() == ["01"]
    assert both["READER"].tolist() == ["INVESTIGATOR"]
    assert both["AGAINST"].tolist() == ["INDEPENDENT ASSESSOR"]
    derived = table[table["COMPARED"] == "IRC-DERIVED"].set_index("USUBJID")
    assert derived["REASON"].to_dict() == {"01": "RESPONSE DIFFERS", "03": "DERIVED MISSING"}


def test_without_measurements_the_first_reader_is_compared_with_the_second() -> None:
    adrs = adrs_of("""
USUBJID | PARAMCD | RSLNKGRP | DAY | AVALC
01      | OVR     | A2       | 42  | PR
01      | OVRIRC  | A2       | 42  | PR
""")
    adrs["PARCAT2"] = ["INVESTIGATOR", "INDEPENDENT ASSESSOR"]
    adrs["SRCDOM"] = "RS"
    table = compare_responses({"ADRS": adrs}, Study())
    assert table["COMPARED"].tolist() == ["INV-IRC"]
    assert verdicts(table) == ["OVR PR PR Y -"]


@pytest.mark.parametrize("data", [{}, {"ADRS": adrs_of("USUBJID | PARAMCD | DAY | AVALC")}])
def test_nothing_to_compare_is_an_empty_listing(data: dict[str, pd.DataFrame]) -> None:
    table = compare_responses(data, Study())
    assert list(table.columns) == list(COLUMNS)
    assert table.empty


def test_the_summary_counts_pairs_of_the_analysis_set() -> None:
    rows = "".join(
        f"{n:02} | OVR | A2 | 42 | {derived}\n{n:02} | OVRINV | A2 | 42 | {said}\n"
        for n, (derived, said) in enumerate(
            [("PR", "PR"), ("SD", "SD"), ("PD", "SD"), ("SD", "SD"), ("PR", "PR")], 1
        )
    )
    adrs = adrs_of(f"USUBJID | PARAMCD | RSLNKGRP | DAY | AVALC\n{rows}")
    fas = pd.Series(["Y", "Y", "Y", "Y", "N"], dtype="str")
    adsl = pd.DataFrame({"USUBJID": [f"{n:02}" for n in range(1, 6)], "FASFL": fas})
    data = {"ADSL": adsl, NAME: compare_responses({"ADRS": adrs}, Study())}
    table = EndpointTable(tuple(count_agreement(Analysis(data, Study(), Issues(), {}))))
    agreement = table["AGREE-OVR-INV-DERIVED"]
    assert (agreement.numerator, agreement.denominator) == (3, 4)
    assert agreement.estimate == 75
    # observed 3/4; by chance 1/4 1/4 + 2/4 3/4 + 1/4 0 = 7/16
    assert table["KAPPA-OVR-INV-DERIVED"].estimate == pytest.approx((12 / 16 - 7 / 16) / (9 / 16))


# -- kappa ------------------------------------------------------------------------------------

# Two raters, 100 subjects: Fleiss, Statistical Methods for Rates and Proportions, 2nd ed., 13.1.
FLEISS = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])


def ratings(counts: np.ndarray) -> tuple[pd.Series, pd.Series]:
    rows, columns = np.indices(counts.shape)
    return (
        pd.Series(np.repeat(rows.ravel(), counts.ravel()).astype(str), dtype="str"),
        pd.Series(np.repeat(columns.ravel(), counts.ravel()).astype(str), dtype="str"),
    )


def fleiss_variance(counts: np.ndarray) -> float:
    """The large-sample variance as Fleiss, Cohen and Everitt print it: A + B - C."""
    n = counts.sum()
    p = counts / n
    row, column = p.sum(axis=1), p.sum(axis=0)
    chance = float(row @ column)
    k = (np.trace(p) - chance) / (1 - chance)
    a = sum(p[i, i] * (1 - (row[i] + column[i]) * (1 - k)) ** 2 for i in range(len(p)))
    b = (1 - k) ** 2 * sum(
        p[i, j] * (column[i] + row[j]) ** 2 for i in range(len(p)) for j in range(len(p)) if i != j
    )
    c = (k - chance * (1 - k)) ** 2
    return float((a + b - c) / ((1 - chance) ** 2 * n))


def test_kappa_of_a_published_table() -> None:
    one, other = ratings(FLEISS)
    value, lower, upper = kappa(one, other, pd.Series(range(100)))
    assert value == pytest.approx(0.6765, abs=5e-5)
    assert lower == pytest.approx(0.51, abs=0.01)
    assert upper == pytest.approx(0.85, abs=0.01)


@given(st.lists(st.integers(0, 9), min_size=9, max_size=9))
def test_kappa_of_independent_units_has_the_variance_of_fleiss(cells: list[int]) -> None:
    counts = np.array(cells).reshape(3, 3)
    n = int(counts.sum())
    one, other = ratings(counts)
    value, lower, upper = kappa(one, other, pd.Series(range(n)))
    if lower is None or value is None or upper is None or lower <= -1 or upper >= 1:
        return
    half = float(stats.t.ppf(0.975, n - 1)) * math.sqrt(fleiss_variance(counts) * n / (n - 1))
    assert upper - value == pytest.approx(half)
    assert value - lower == pytest.approx(half)


def test_kappa_where_there_is_nothing_to_see() -> None:
    same = pd.Series(["PR", "PR"], dtype="str")
    assert kappa(same, same, pd.Series([1, 2])) == (None, None, None)
    both = pd.Series(["PR", "SD"], dtype="str")
    assert kappa(both, both, pd.Series([1, 2])) == (1.0, None, None)
    assert kappa(both[:0], both[:0], pd.Series([], dtype="int64")) == (None, None, None)
    one = kappa(both, same, pd.Series([1, 1]))
    assert one == (0.0, None, None)


def test_units_of_one_subject_that_agree_alike_widen_the_limits() -> None:
    one, other = ratings(FLEISS)
    alone = kappa(one, other, pd.Series(range(100)))
    together = kappa(one, other, pd.Series(range(100)) // 5)
    assert together.value == alone.value
    assert together.upper is not None
    assert alone.upper is not None
    assert together.upper > alone.upper
