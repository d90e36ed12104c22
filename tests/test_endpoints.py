"""The endpoint table: small analysis datasets in, rows out."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir2cdisc.adam import DERIVATIONS
from fhir2cdisc.adam.parameters import definitions
from fhir2cdisc.converters.sdtm_to_adam import derive_datasets
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.results.endpoint_table import EndpointTable
from fhir2cdisc.results.endpoints import compute_endpoints
from fhir2cdisc.study import Study
from lesion_data import NoTerms

ROOT = Path(__file__).parents[1]


def table(text: str) -> pd.DataFrame:
    frame = pd.read_csv(StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str")
    for name in frame.columns:
        if name.endswith("DT") or name == "STARTDT0":
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
        elif name in ("AVAL", "CNSR") or name.startswith("NTRG"):
            frame[name] = pd.to_numeric(frame[name]).astype("float64")
    return frame


def adam() -> dict[str, pd.DataFrame]:
    adsl = table(
        """
USUBJID | ENRLFL | ITTFL | FASFL | SAFFL | EVLFL | BLADEQFL | NTRGB|NTRGNI|NTRGIR|NTRGLD|DTHFL
01      | Y      | Y     | Y     | Y     | Y     | Y        | 2     | 1      | 1      | 0      |
02      | Y      | Y     | Y     | Y     | Y     | Y        | 3     | 2      | 0      | 0      | Y
03      | Y      | Y     | Y     | Y     | N     | N        | 1     | 1      | 0      | 0      | Y
04      | Y      | Y     | N     | N     | N     | Y        | 0     | 0      | 0      | 0      |
05      | N      | N     | N     | N     | N     | N        | 0     | 0      | 0      | 0      |
06      | Y      | Y     | Y     | Y     | N     | Y        | 1     | 0      | 1      | 0      |
"""
    )
    adsl["STARTDT0"] = pd.Timestamp("2021-01-01")
    adsl["CUT6DT"] = pd.Timestamp("2021-07-01")
    adsl["DTHDT"] = pd.to_datetime(pd.Series([None, "2021-05-01"] + [None] * 4))
    adrs = table(
        """
USUBJID | PARAMCD | PARCAT2      | AVALC
01      | BOR     | DERIVED      | PR
02      | BOR     | DERIVED      | PR
03      | BOR     | DERIVED      | NE
06      | BOR     | DERIVED      | SD
01      | CBOR    | DERIVED      | PR
02      | CBOR    | DERIVED      | SD
03      | CBOR    | DERIVED      | NE
06      | CBOR    | DERIVED      | SD
03      | CBORINV | INVESTIGATOR | CR
04      | CBOR    | DERIVED      | CR
01      | CBORNI  | DERIVED      | SD
02      | CBORNI  | DERIVED      | PR
03      | CBORNI  | DERIVED      | NE
01      | ACR     | DERIVED      | Y
02      | ACR     | DERIVED      | Y
03      | ACR     | DERIVED      | N
01      | ACRNL   | DERIVED      | N
02      | ACRNL   | DERIVED      | Y
03      | ACRNL   | DERIVED      | N
01      | IBOR    | DERIVED      | iPR
02      | IBOR    | DERIVED      | iCR
03      | IBOR    | DERIVED      | iUPD
01      | OVR     | DERIVED      | PR
02      | OVR     | DERIVED      | PR
"""
    )
    adles = table(
        """
USUBJID | PARAMCD | LESGRP   | LESTYP | AVALC | EVALFL
01      | LSCTRL  | NONIRRAD | TARGET | Y     | Y
01      | LSCTRL  | IRRAD    | TARGET | N     | Y
02      | LSCTRL  | NONIRRAD | TARGET | Y     | Y
02      | LSCTRL  | NONIRRAD | TARGET | N     | Y
03      | LSCTRL  | NONIRRAD | TARGET | N     | N
01      | LSBRSP  | NONIRRAD | TARGET | PR    | Y
02      | LSBRSP  | NONIRRAD | TARGET | SD    | Y
03      | LSBRSP  | NONIRRAD | TARGET | NE    | N
01      | LSCTRLL | NONIRRAD | TARGET | N     | Y
02      | LSCTRLL | NONIRRAD | TARGET | Y     | Y
02      | LSCTRLL | NONIRRAD | TARGET | N     | Y
03      | LSCTRLL | NONIRRAD | TARGET | N     | N
"""
    )
    adtte = table(
        """
USUBJID | PARAMCD | AVAL | CNSR | EVNTDESC
01      | PFS     | 200  | 1    | Last adequate tumour assessment
02      | PFS     | 100  | 0    | Disease Progression
03      | PFS     | 1    | 6    | Baseline not adequate
04      | PFS     | 1    | 4    | No post-baseline assessment
06      | PFS     | 150  | 0    | Death
01      | OS      | 300  | 1    | Last known alive
02      | OS      | 121  | 0    | Death
03      | OS      | 90   | 1    | Last known alive
04      | OS      | 90   | 1    | Last known alive
06      | OS      | 150  | 0    | Death
01      | PFS6M   | 150  | 1    | Last adequate tumour assessment
02      | PFS6M   | 100  | 0    | Disease Progression
03      | PFS6M   | 1    | 6    | Baseline not adequate
06      | PFS6M   | 150  | 0    | Death
01      | OS6M    | 182  | 5    | Alive at the cut
02      | OS6M    | 121  | 0    | Death
01      | TTR     | 43   | 0    | Response
06      | TTR     | 85   | 0    | Response
01      | DOR     | 150  | 1    | Last adequate tumour assessment
06      | DOR     | 66   | 0    | Death
"""
    )
    adtte["ADT"] = pd.Timestamp("2020-12-31") + pd.to_timedelta(adtte["AVAL"], unit="D")
    adae = table(
        """
USUBJID | TRTEMFL | AE3FL | TRAE3FL | ANL01FL | ATOXGR | AEREL   | AERELRT | ASTDT      | AEIRFL
01      | Y       | Y     | Y       | Y       | 3      | RELATED |         | 2021-02-01 | N
01      | Y       | Y     |         | Y       | 4      |         |         | 2021-02-01 | Y
02      | Y       |       |         | Y       |        |         |         | 2021-02-01 |
03      | Y       | Y     |         |         | 3      |         |         | 2021-09-01 | Y
06      |         |       |         |         | 3      |         |         |            |
"""
    )
    adae["AE3WCFL"] = ["Y", "Y", "Y", "Y", None]
    adae["IRAE3FL"] = [None, "Y", None, "Y", None]
    adae["AE3XFL"] = ["Y", "Y", None, "Y", "Y"]  # the event of 06 is serious
    adae["ANL02FL"] = ["Y", "Y", "Y", None, "Y"]
    adex = table(
        """
USUBJID | PARCAT1       | PARAMCD | PARAM                            | AVAL | AVALC
01      | RADIOTHERAPY  | RTCOMPL | Radiotherapy Completed           | 1    | Y
02      | RADIOTHERAPY  | RTCOMPL | Radiotherapy Completed           | 0    | N
01      | PD-1 ANTIBODY | PDDOSE  | Number of Doses of PD-1 Antibody | 3    |
02      | PD-1 ANTIBODY | PDDOSE  | Number of Doses of PD-1 Antibody | 8    |
03      | PD-1 ANTIBODY | PDDOSE  | Number of Doses of PD-1 Antibody | 4    |
01      | RADIOTHERAPY  | RTDOSE  | Total Radiotherapy Dose (Gy)     | 24   |
02      | RADIOTHERAPY  | RTDOSE  | Total Radiotherapy Dose (Gy)     | 30   |
"""
    )
    frames = {"ADSL": adsl, "ADRS": adrs, "ADLES": adles, "ADTTE": adtte, "ADAE": adae}
    return {**frames, "ADEX": adex}


@pytest.mark.parametrize(
    ("id_", "numerator", "denominator", "estimate", "why"),
    [
        ("ORR", 1, 4, 25, "confirmed, derived, of all treated"),
        ("ORR-UNCONFIRMED", 2, 4, 50, "the response of 02 was not confirmed"),
        ("ORR-VOLUME", None, 4, "NE", "no volume response was derived"),
        ("ORR-EVALUABLE", 1, 2, 50, "the evaluable only"),
        ("IORR", 2, 4, 50, "iPR of 01 and iCR of 02"),
        ("NRCR", 2, 4, 50, "all non-irradiated targets"),
        ("NRCR-NAIVE", 2, 4, 50, "the same share"),
        ("NRCR-EVALUABLE", 2, 3, 200 / 3, "without the lesion that cannot be evaluated"),
        ("ORR-NONIRRAD", 1, 3, 100 / 3, "of the three with non-irradiated targets"),
        ("ACR", 2, 3, 200 / 3, "01 and 02"),
        ("ACR-NEW-LESION", 1, 3, 100 / 3, "01 had a new lesion"),
        ("NRCR-LAST", 1, 4, 25, "by the last response"),
        ("NRCR-LAST-EVALUABLE", 1, 3, 100 / 3, "by the last response, without that of 03"),
        ("IRCR", 0, 1, 0, "the irradiated lesion of 01"),
        ("NILORR", 1, 3, 100 / 3, "PR of the lesion of 01"),
        ("N-LESION-LOW-DOSE", 0, 7, 0, "none"),
        ("PFS-EVENTS", 2, 4, 2, "04 was not treated"),
        ("PFS-MEDIAN", 2, 4, 150 / 30.4375, "days 100 and 150 of those at risk"),
        ("PFS-CENSORED-6", 1, 4, 1, "the reason of 03"),
        ("PFSNI-MEDIAN", 0, 0, "NE", "no lesion group was derived"),
        ("PFS6M-EVENTS", 2, 4, 2, "02 and 06"),
        ("PFS6M-CENSORED-1", 1, 4, 1, "01"),
        ("OS6M-EVENTS", 1, 2, 1, "02"),
        ("OS6M-CENSORED-5", 1, 2, 1, "01"),
        ("DOR-EVENTS", 1, 2, 1, "of two responders"),
        ("DOR-MEDIAN", 1, 2, 66 / 30.4375, "06 died on day 66 of the response"),
        ("OS-6M", 2, 4, 100 / 3, "one of three at risk is left"),
        ("FOLLOW-UP", 2, 4, 300 / 30.4375, "the last of those still followed"),
        ("AE3", 1, 4, 25, "one subject counts once; 03 is after the cut"),
        ("AE3-ANY-TIME", 2, 4, 50, "01 and 03"),
        ("AE3-WORST-CASE", 2, 4, 50, "02 has an event without a grade"),
        ("AE3-EXTENDED", 2, 4, 50, "06 has a serious one in the longer window"),
        ("TRAE3", 1, 4, 25, "related"),
        ("IRAE3", 1, 4, 25, "01; that of 03 is after the cut"),
        ("IRAE3-ANY-TIME", 2, 4, 50, "01 and 03"),
        ("EXPOSURE-RTCOMPL", 1, 2, 1, "02 was stopped; of the others it is not known"),
        ("EXPOSURE-PDDOSE", 3, 4, 4, "the median of 3, 4 and 8"),
        ("EXPOSURE-RTDOSE", 2, 4, 27, "the median of two"),
        ("N-NOT-ENROLLED", 1, 6, 1, "05"),
        ("N-NOT-TREATED", 1, 5, 1, "04"),
        ("N-NO-BASELINE", 1, 4, 1, "03"),
        ("N-NO-ASSESSMENT", 2, 4, 2, "03 and 06"),
        ("N-NO-NONIRRAD", 1, 4, 1, "06"),
        ("N-LESION-UNDETERMINED", 1, 7, 1, "one of 02"),
        ("N-LESION-NE", 1, 4, 1, "the one of 03"),
        ("N-DEATH-NO-DATE", 1, 2, 1, "03"),
        ("N-AE-NO-GRADE", 1, 4, 1, "of 02"),
        ("N-AE-NO-START", 1, 5, 1, "of 06"),
        ("N-AE-NO-RELATION", 2, 3, 2, "grade 3 or more without relation"),
    ],
)
def test_row(
    id_: str, numerator: int | None, denominator: int, estimate: float | str, why: str
) -> None:
    row = compute_endpoints(adam(), Study(), Issues())[id_]
    assert (row.numerator, row.denominator) == (numerator, denominator), why
    if isinstance(estimate, str):
        assert row.estimate == row.lower == row.upper == estimate, why
    else:
        assert row.estimate == pytest.approx(estimate), why


def test_where_nobody_judged_events_there_is_no_rate_of_immune_related_ones() -> None:
    data = adam()
    data["ADAE"]["AEIRFL"] = pd.Series(float("nan"), index=data["ADAE"].index, dtype="str")
    data["ADAE"]["IRAE3FL"] = data["ADAE"]["AEIRFL"]
    assert compute_endpoints(data, Study(), Issues())["IRAE3"].estimate == "NE"
    data["ADAE"]["AEIRFL"] = "N"
    assert compute_endpoints(data, Study(), Issues())["IRAE3"].estimate == 0


def test_exposure_tells_mean_range_and_unit() -> None:
    results = compute_endpoints(adam(), Study(), Issues())
    assert "mean 5, smallest 3, largest 8" in results["EXPOSURE-PDDOSE"].method
    assert (results["EXPOSURE-PDDOSE"].unit, results["EXPOSURE-RTDOSE"].unit) == ("number", "Gy")
    without = {name: frame for name, frame in adam().items() if name != "ADEX"}
    ids = {row.id for row in compute_endpoints(without, Study(), Issues()).rows}
    assert not any(id_.startswith("EXPOSURE") for id_ in ids)


def test_every_result_states_its_method_and_the_settings_in_force() -> None:
    study = Study(response={"confirm_days": 35}, endpoints={"visit_interval_days": 56})  # type: ignore[arg-type]
    results = compute_endpoints(adam(), study, Issues(), definitions(study))
    assert "35 days" in results["ORR"].method
    assert "126 days" in results["PFS-MEDIAN"].method
    assert all(row.method.endswith(".") and row.where and row.dataset for row in results.rows)
    ids = [row.id for row in results.rows]
    assert len(ids) == len(set(ids))


def test_the_table_has_no_nan_and_no_infinity() -> None:
    results = compute_endpoints(adam(), Study(), Issues())
    text = json.dumps(results.to_json_object(), allow_nan=False)
    assert '"NE"' in text
    frame = results.to_frame()
    assert len(frame) == len(results.rows)
    assert not frame["estimate"].str.lower().isin(["nan", "inf"]).any()
    numbers = pd.to_numeric(frame.loc[frame["estimate"].ne("NE"), "estimate"])
    assert all(math.isfinite(n) for n in numbers)
    assert frame.loc[frame["id"].eq("ORR"), "estimate"].tolist() == ["25"]


def test_a_curve_that_ends_before_the_landmark_says_so() -> None:
    study = Study(endpoints={"months": 9})  # type: ignore[arg-type]
    results = compute_endpoints(adam(), study, Issues())
    assert "value of day 200, the last one" in results["PFS-9M"].method
    assert "carried forward" not in results["OS-9M"].method
    assert results["OS-9M"].estimate == pytest.approx(100 / 3)


def test_time_to_response_is_described_without_an_interval() -> None:
    row = compute_endpoints(adam(), Study(), Issues())["TTR-MEDIAN"]
    assert row.estimate == pytest.approx(64 / 30.4375)
    assert (row.lower, row.upper, row.numerator) == (None, None, 2)


def test_events_shortly_after_the_cut_are_counted_for_they_show_what_a_window_does() -> None:
    data = adam()
    data["ADSL"]["CUT6DT"] = pd.Timestamp("2021-04-03")  # 02 progresses on 10 April
    row = compute_endpoints(data, Study(), Issues())["PFS6M-LATE"]
    assert (row.numerator, row.denominator) == (1, 4)
    study = Study(endpoints={"visit_window_days": 6})  # type: ignore[arg-type]
    assert compute_endpoints(data, study, Issues())["PFS6M-LATE"].numerator == 0


def test_survival_by_irecist_is_a_result_only_where_it_was_derived() -> None:
    data = adam()
    assert not any(r.id.startswith("IPFS") for r in compute_endpoints(data, Study(), Issues()).rows)
    data["ADTTE"]["PARAMCD"] = data["ADTTE"]["PARAMCD"].replace({"PFS": "IPFS"})
    assert compute_endpoints(data, Study(), Issues())["IPFS-EVENTS"].numerator == 2


def test_datasets_that_are_not_there_are_issues_not_errors() -> None:
    issues = Issues()
    results = compute_endpoints({"ADSL": adam()["ADSL"]}, Study(), issues)
    for id_ in ("ORR", "NRCR", "PFS-MEDIAN", "OS-6M", "AE3"):
        assert results[id_].estimate == "NE"
    assert {i.code for i in issues} == {"AD0001", "AD0009"}
    assert compute_endpoints({}, Study(), Issues()).rows == ()


def test_nobody_at_all_is_not_estimable() -> None:
    nobody = {name: frame[:0] for name, frame in adam().items()}
    results = compute_endpoints(nobody, Study(), Issues())
    for id_ in ("ORR", "NRCR", "PFS-MEDIAN", "OS-6M", "AE3", "FOLLOW-UP"):
        assert (results[id_].denominator, results[id_].estimate) == (0, "NE")


@pytest.mark.parametrize(
    ("response", "id_", "numerator", "denominator", "label"),
    [
        ({"irr_policy": "NONIRRAD"}, "ORR", 1, 3, "RECIST 1.1 of non-irradiated targets"),
        ({"irr_policy": "NONIRRAD"}, "ORR-RECIST", 1, 4, "RECIST 1.1"),
        ({"measure": "volume"}, "ORR", 2, 4, "30 % volume"),
        ({"measure": "volume", "irr_policy": "IRRAD"}, "ORR", 1, 1, "of irradiated targets"),
        ({"acr_new_lesion_fails": True}, "ACR", 1, 3, "Abscopal control rate"),
        ({"acr_new_lesion_fails": True}, "ACR-TARGETS", 2, 3, "do not count"),
    ],
)
def test_a_setting_chooses_the_primary_definition_and_the_others_stand_beside_it(
    response: dict[str, object], id_: str, numerator: int, denominator: int, label: str
) -> None:
    frames = adam()
    volume = pd.DataFrame(
        {
            "USUBJID": ["01", "02", "03", "06", "06"],
            "PARAMCD": ["CBORV"] * 4 + ["CBORVIR"],
            "AVALC": ["PR", "PR", "NE", "SD", "PR"],
        }
    )
    frames["ADRS"] = pd.concat([frames["ADRS"], volume], ignore_index=True)
    row = compute_endpoints(frames, Study(response=response), Issues())[id_]  # type: ignore[arg-type]
    assert (row.numerator, row.denominator) == (numerator, denominator)
    assert label in row.endpoint


def test_a_volume_of_one_diameter_is_told_in_the_method() -> None:
    frames = adam()
    frames["ADTR"] = table(
        """
USUBJID | PARAMCD | VOLNOTE
01      | SVOL    | VOLUME FROM ONE DIAMETER
01      | SVOL    |
02      | SVOL    |
"""
    )
    results = compute_endpoints(frames, Study(), Issues())
    told = "volume from one diameter, not independent of the diameter, in 1 of 2 subjects"
    assert told in results["ORR-VOLUME"].method
    assert told in results["ORR-VOLUME-RECIST"].method
    assert "one diameter" not in results["ORR"].method


def test_days_after_the_landmark_that_count_are_told_in_the_method() -> None:
    study = Study(endpoints={"cut_window_days": 7})  # type: ignore[arg-type]
    method = compute_endpoints(adam(), study, Issues())["NRCR"].method
    assert "within 6 months and 7 days of the start" in method


def test_the_analysis_set_is_a_setting() -> None:
    study = Study(endpoints={"population": "ITTFL"})  # type: ignore[arg-type]
    results = compute_endpoints(adam(), study, Issues())
    assert (results["ORR"].numerator, results["ORR"].denominator) == (2, 5)
    assert results["PFS-EVENTS"].denominator == 5


# -- other methods, other cuts ----------------------------------------------------------------


def test_the_headline_of_few_subjects_is_never_that_of_estimating_equations() -> None:
    results = compute_endpoints(adam(), Study(), Issues())
    assert (results["NRCR"].role, results["NRCR-GEE"].role) == ("main", "supplementary")
    assert "not to be quoted" in results["NRCR-GEE"].method
    assert results["NRCR-BOOTSTRAP"].numerator == results["NRCR"].numerator
    assert "(seed 1)" in results["NRCR-BOOTSTRAP"].method


def test_a_share_of_0_or_100_percent_has_an_exact_interval_and_no_model() -> None:
    data = adam()
    data["ADLES"].loc[data["ADLES"]["PARAMCD"].eq("LSCTRL"), "AVALC"] = "Y"
    results = compute_endpoints(data, Study(), Issues())
    assert results["NRCR"].lower == results["NRCR-NAIVE"].lower
    for id_ in ("NRCR-GEE", "NRCR-BOOTSTRAP", "NRCR-ICC", "NRCR-DEFF", "LESION-OR"):
        assert results[id_].estimate == "NE", id_


def test_irradiated_lesions_are_compared_within_subjects_only() -> None:
    data = adam()
    more = data["ADLES"].iloc[[2, 3]].assign(LESGRP="IRRAD")  # 02: one controlled, one not
    data["ADLES"] = pd.concat([data["ADLES"], more], ignore_index=True)
    row = compute_endpoints(data, Study(), Issues())["LESION-OR"]
    assert (row.numerator, row.denominator) == (2, 2), "01 and 02 have both kinds, 03 has not"
    assert row.estimate == pytest.approx((1 / 4) / (1 / 4 + 1 / 2))


@pytest.mark.parametrize(("null", "p"), [(0.2, 1 - 0.8**4), (0.5, 1 - 0.5**4)])
def test_the_response_rate_is_tested_against_a_null_rate_that_is_given(
    null: float, p: float
) -> None:
    study = Study(endpoints={"null_rate": null})  # type: ignore[arg-type]
    results = compute_endpoints(adam(), study, Issues())
    assert results["ORR-P"].estimate == pytest.approx(p)
    assert results["ORR-VOLUME-P"].estimate == "NE"
    assert "ORR-P" not in {row.id for row in compute_endpoints(adam(), Study(), Issues()).rows}


def test_the_interval_of_shares_and_the_scale_of_curves_are_settings() -> None:
    study = Study(endpoints={"proportion_interval": "wilson", "survival_interval": "log"})  # type: ignore[arg-type]
    results = compute_endpoints(adam(), study, Issues())
    assert "Wilson score" in results["ORR"].method
    assert "on the log scale" in results["PFS-MEDIAN"].method
    usual = compute_endpoints(adam(), Study(), Issues())
    assert results["ORR"].lower != usual["ORR"].lower
    assert results["PFS-6M"].lower != usual["PFS-6M"].lower


def test_quartiles_and_the_mean_within_six_months() -> None:
    results = compute_endpoints(adam(), Study(), Issues())
    # PFS of 01, 02, 03, 06: 200+, 100, 1+, 150: the curve is 2/3 from day 100, 1/3 from day 150.
    area = 100 + 50 * 2 / 3 + (6 * 30.4375 - 150) / 3
    assert results["PFS-RMST"].estimate == pytest.approx(area / 30.4375)
    assert results["PFS-Q25"].estimate == pytest.approx(100 / 30.4375)
    assert results["PFS-Q75"].estimate == "NE"


def by_sex(sexes: list[str | None]) -> tuple[EndpointTable, Issues]:
    data, issues = adam(), Issues()
    data["ADSL"]["SEX"] = pd.Series(sexes, dtype="str")
    study = Study(endpoints={"group": "SEX"})  # type: ignore[arg-type]
    return compute_endpoints(data, study, issues), issues


def test_times_to_events_are_compared_by_a_variable_of_adsl() -> None:
    results, issues = by_sex(["F", "M", "M", "F", "F", "F"])
    assert results["OS-MEDIAN:SEX=F"].denominator == 2
    assert results["OS-MEDIAN:SEX=M"].estimate == pytest.approx(121 / 30.4375)
    assert results["OS-HR:SEX=M"].role == "main"
    # Day 121: a man of 3 at risk (1 man); day 150: a woman of 2 (no man).
    assert results["OS-LOGRANK-CHISQ:SEX"].estimate == pytest.approx((2 / 3) ** 2 / (2 / 9))
    assert results["OS-HR:SEX=M"].estimate == "NE", "no woman died while a man was observed"
    assert "AD0019" not in {i.code for i in issues}


def test_subjects_without_the_variable_are_in_no_group_and_told() -> None:
    results, issues = by_sex(["F", "M", "M", "F", "F", None])
    assert results["OS-MEDIAN:SEX=F"].denominator == 1
    (told,) = [i for i in issues if i.code == "AD0019"]
    assert (told.count, told.samples) == (1, ("06",))


@pytest.mark.parametrize("name", ["SEX", "AGE", "USUBJID"])
def test_what_makes_no_groups_is_told(name: str) -> None:
    data, issues = adam(), Issues()
    data["ADSL"] = pd.concat([data["ADSL"]] * 4, ignore_index=True)
    data["ADSL"]["USUBJID"] = [f"{n:02d}" for n in range(24)]
    data["ADSL"]["AGE"] = [float(n) for n in range(24)]
    study = Study(endpoints={"group": name})  # type: ignore[arg-type]
    results = compute_endpoints(data, study, issues)
    assert [i.code for i in issues if i.code == "AD0018"] == ["AD0018"]
    assert not [row for row in results.rows if ":" in row.id]


# -- from SDTM to the endpoints ---------------------------------------------------------------

REFERENCE = Path(os.environ.get("FHIR2CDISC_REFERENCE", ROOT.parent / "shared")) / "cases"
FIRST = pd.Timestamp("2021-03-01")


def sdtm_of(
    lesions: list[tuple[str, str, str, str]],
    measured: list[tuple[str, str, int, str]],
    deaths: Mapping[str, int] | None = None,
) -> dict[str, pd.DataFrame]:
    """SDTM of subjects who enrolled and were treated on day 0.

    `lesions`: subject, lesion, Y if irradiated, location; `measured`: subject, lesion, day, mm
    (TSTM too small to measure, NE not done).
    """
    subjects = sorted({s for s, *_ in lesions})
    dm = pd.DataFrame({"USUBJID": subjects, "STUDYID": "S", "ARM": "A", "ACTARM": "A"})
    died = {s: (FIRST + pd.Timedelta(days=d)).date().isoformat() for s, d in (deaths or {}).items()}
    dm["DTHDTC"] = dm["USUBJID"].map(died)
    start = FIRST.date().isoformat()
    ds = pd.DataFrame({"USUBJID": subjects, "DSDECOD": "ENTERED INTO TRIAL", "DSSTDTC": start})
    ex = pd.DataFrame({"USUBJID": subjects, "EXTRT": "DRUG", "EXSTDTC": start})
    tu = pd.DataFrame(lesions, columns=["USUBJID", "TULNKID", "IRR", "TULOC"])
    supp = pd.DataFrame(
        {"USUBJID": tu["USUBJID"], "IDVAR": "TULNKID", "IDVARVAL": tu["TULNKID"],
         "QNAM": "TUIRRAD", "QVAL": tu.pop("IRR")}
    )  # fmt: skip
    tr = pd.DataFrame(measured, columns=["USUBJID", "TRLNKID", "DAY", "VALUE"])
    node = dict(zip(zip(tu["USUBJID"], tu["TULNKID"], strict=True), tu["TULOC"], strict=True))
    nodal = [node[key] == "LYMPH NODE" for key in zip(tr["USUBJID"], tr["TRLNKID"], strict=True)]
    day = tr.pop("DAY")
    value = tr.pop("VALUE")
    tr["TRTESTCD"] = pd.Series(nodal).map({True: "LPERP", False: "LDIAM"})
    tr["TRLNKGRP"] = "A" + (day + 100).astype("str").str.zfill(4)
    tr["TRDTC"] = (FIRST + pd.to_timedelta(day, unit="D")).dt.strftime("%Y-%m-%d")
    tr["TRSTAT"] = value.map({"NE": "NOT DONE"})
    tr["TRORRES"] = value.replace({"TSTM": "TOO SMALL TO MEASURE"}).where(value.ne("NE"))
    tr["TRSTRESN"] = pd.to_numeric(value.replace({"TSTM": "5"}), errors="coerce").astype(float)
    tr["TRSTRESC"] = tr["TRSTRESN"].astype("str").where(tr["TRSTRESN"].notna())
    tu["TUTESTCD"], tu["TUSTRESC"] = "TUMIDENT", "TARGET"
    tu["TUDTC"] = (FIRST - pd.Timedelta(days=7)).date().isoformat()
    frames = {"DM": dm, "DS": ds, "EX": ex, "TU": tu, "SUPPTU": supp, "TR": tr}
    for name, frame in frames.items():
        if name not in ("DM", "SUPPTU"):
            frame[f"{name}SEQ"] = frame.groupby("USUBJID").cumcount() + 1.0
        for column in frame:
            if frame[column].dtype == object:
                frame[column] = frame[column].astype("str")
    return frames


def endpoints_of(sdtm: dict[str, pd.DataFrame], study: Study) -> EndpointTable:
    issues = Issues()
    made = derive_datasets(DERIVATIONS, sdtm, study, NoTerms(), issues)
    return compute_endpoints({name: d.frame for name, d in made.items()}, study, issues)


@pytest.mark.skipif(
    not (REFERENCE / "nrcr_cases.csv").exists(), reason="nrcr_cases.csv of the reference is absent"
)
@pytest.mark.parametrize(
    ("rule", "controlled"), [("best", 11), ("sustained", 7), ("last", 7), ("landmark", 5)]
)
def test_the_worked_patients_give_the_worked_lesion_control_rate(
    rule: str, controlled: int
) -> None:
    cases = pd.read_csv(REFERENCE / "nrcr_cases.csv", dtype="str")
    irradiated = cases["GROUP"].map({"IRRAD": "Y", "NONIRRAD": "N"})
    place = cases["NODAL"].map({"Y": "LYMPH NODE", "N": "LUNG"})
    lesions = list(zip(cases["PATIENT"], cases["LESION"], irradiated, place, strict=True))
    measured = [
        (patient, name, day, value)
        for column, day in (("BASE", -7), ("D42", 42), ("D84", 84), ("D126", 126), ("D168", 168))
        for patient, name, value in zip(
            cases["PATIENT"], cases["LESION"], cases[column], strict=True
        )
        if value != "."
    ]
    study = Study(endpoints={"nrcr_rule": rule})  # type: ignore[arg-type]
    results = endpoints_of(sdtm_of(lesions, measured), study)
    assert (results["NRCR"].numerator, results["NRCR"].denominator) == (controlled, 13)
    assert results["NRCR-EVALUABLE"].denominator == 12
    assert results["N-NO-NONIRRAD"].numerator == 1
    assert results["N-LESION-NE"].numerator == 1
    if rule == "last":
        assert results["NRCR-ICC"].estimate == pytest.approx(-0.035, abs=5e-4)
        assert results["NRCR-DEFF"].estimate < 1
    for other, number in (("best", 11), ("sustained", 7), ("last", 7), ("landmark", 5)):
        if other != rule:
            row = results[f"NRCR-{other.upper()}"]
            assert (row.numerator, row.denominator) == (number, 13)
            assert results[f"NRCR-{other.upper()}-EVALUABLE"].denominator == 12
    for id_, number in (("ARR", 3), ("ACR", 5), ("ABSANY", 4)):
        assert (results[id_].numerator, results[id_].denominator) == (number, 7)
    if rule == "best":
        limits = {
            "NRCR": (84.6154, 41.55, 97.70), "NRCR-NORMAL": (84.6154, 51.65, 96.59),
            "NRCR-GEE": (84.4758, 48.56, 96.91), "NRCR-NAIVE": (84.6154, 54.55, 98.08),
        }  # fmt: skip
        for id_, worked in limits.items():
            row = results[id_]
            assert (row.estimate, row.lower, row.upper) == pytest.approx(worked, abs=0.006), id_
        assert results["NRCR-SUBJECT"].estimate == pytest.approx(78.57, abs=0.005)
        assert results["NRCR-ICC"].estimate == pytest.approx(0.432, abs=5e-4)
        assert results["NRCR-DEFF"].estimate == pytest.approx(1.183, abs=5e-4)
        sizes = [results[f"NRCR-LESIONS-{size}"].numerator for size in (1, 2, 3)]
        assert sizes == [2, 4, 1]


sizes = st.integers(0, 60).map(str) | st.sampled_from(["NE", "TSTM"])


@st.composite
def trials(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    lesions, measured = [], []
    for number in range(draw(st.integers(1, 3))):
        subject = f"{number:02d}"
        days = sorted(draw(st.sets(st.integers(20, 300), max_size=4)))
        for lesion in range(draw(st.integers(1, 2))):
            name = f"T{lesion:02d}"
            lesions.append((subject, name, draw(st.sampled_from("YN")), "LUNG"))
            measured.append((subject, name, -7, str(draw(st.integers(10, 60)))))
            measured += [(subject, name, day, draw(sizes)) for day in days]
    deaths = draw(st.dictionaries(st.sampled_from(["00", "01"]), st.integers(1, 400), max_size=2))
    return sdtm_of(lesions, measured, deaths)


@given(trials())
@settings(max_examples=15, deadline=None)
def test_confirmed_responses_are_never_more_than_unconfirmed_ones(
    sdtm: dict[str, pd.DataFrame],
) -> None:
    results = endpoints_of(sdtm, Study())
    confirmed, all_ = results["ORR"].numerator, results["ORR-UNCONFIRMED"].numerator
    assert confirmed is not None
    assert all_ is not None
    assert confirmed <= all_
    assert results["ORR"].denominator == results["PFS-EVENTS"].denominator == len(sdtm["DM"])


@given(trials(), st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_the_order_of_records_does_not_matter(sdtm: dict[str, pd.DataFrame], seed: int) -> None:
    mixed = {n: f.sample(frac=1, random_state=seed) for n, f in sdtm.items()}
    assert endpoints_of(sdtm, Study()) == endpoints_of(mixed, Study())
