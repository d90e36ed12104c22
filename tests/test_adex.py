"""ADEX: small EX and PR in, the exposure expected out; and the example computed a second time."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from fhir2cdisc.adam.datasets.adex import ADEX, PARAMETERS
from fhir2cdisc.adam.datasets.adsl import ADSL
from fhir2cdisc.adam.radiotherapy import biologically_effective_dose
from fhir2cdisc.converters.sdtm_to_adam import derive_datasets
from fhir2cdisc.core.dataset import Dataset
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study
from lesion_data import NoTerms


def table(text: str) -> pd.DataFrame:
    frame = pd.read_csv(StringIO(text.strip()), sep=r"\s*\|\s*", engine="python", dtype="str")
    for name in frame.columns:
        if name.endswith(("SEQ", "DOSE")):
            frame[name] = pd.to_numeric(frame[name]).astype("float64")
    return frame


def adex_of(data: dict[str, str], study: Study | None = None) -> tuple[Dataset, Issues]:
    frames = {name: table(text) for name, text in data.items()}
    issues = Issues()
    made = derive_datasets([ADSL, ADEX], frames, study or Study(), NoTerms(), issues)
    return made["ADEX"], issues


def values(dataset: Dataset, subject: str = "01") -> dict[str, float]:
    own = dataset.frame[dataset.frame["USUBJID"] == subject]
    return dict(zip(own["PARAMCD"], own["AVAL"].round(6), strict=True))


def doses(*rows: str) -> dict[str, str]:
    """EX of subject 01: dose, unit, drug, date."""
    lines = [f"01 | {n} | {row}" for n, row in enumerate(rows, 1)]
    head = "USUBJID | EXSEQ | EXDOSE | EXDOSU | EXTRT | EXSTDTC"
    return {"DM": "USUBJID | RFICDTC\n01 | 2021-01-01", "EX": "\n".join([head, *lines])}


# Three weeks apart unless it is said: 1 January, 22 January, 12 February.
DRUG = [
    # doses -> PDDOSE, PDCYC, PDDUR, PDCUM, PDDI (mg/week), PDRDI (%); why
    (["200 | mg | A | 2021-01-01"], 1, 1, 1, 200, 200 / 3, 100, "one dose stands for its interval"),
    (["200 | mg | A | 2021-01-01", "200 | mg | A | 2021-01-22"],
     2, 2, 22, 400, 200 / 3, 100, "as planned"),
    (["200 | mg | A | 2021-01-01", "200 | mg | A | 2021-02-12"],
     2, 2, 43, 400, 400 / 9, 200 / 3, "a dose is left out: two of three"),
    (["200 | mg | A | 2021-01-01", "0 | mg | A | 2021-01-22", "200 | mg | A | 2021-02-12"],
     2, 2, 43, 400, 400 / 9, 200 / 3, "a dose of 0 is none"),
    (["100 | mg | A | 2021-01-01", "200 | mg | A | 2021-01-22"],
     2, 2, 22, 300, 50, 75, "the first was stopped half-way"),
    (["100 | mg | A | 2021-01-01", "100 | mg | A | 2021-01-01", "200 | mg | A | 2021-01-22"],
     2, 2, 22, 400, 200 / 3, 100, "two bags on one day are one dose"),
    (["100 | mg | A | 2021-01-01", "100 | mg | A | 2021-01-02", "200 | mg | A | 2021-01-22"],
     3, 2, 22, 400, 200 / 3, 100, "the rest on the next day is of the same cycle"),
    (["0.2 | g | A | 2021-01-01", "200000 | ug | A | 2021-01-22"],
     2, 2, 22, 400, 200 / 3, 100, "g and ug are mg"),
    (["3 | mg/kg | A | 2021-01-01", "3 | mg/kg | A | 2021-01-22"],
     2, 2, 22, None, None, 100, "by weight: relative intensity only"),
    (["200 | mg | A | 2021-01-01", " | mg | A | 2021-01-22"],
     2, 2, 22, None, None, None, "a dose is not known"),
    (["200 | mg | A | 2021-01-01", "200 |  | A | 2021-01-22"],
     2, 2, 22, None, None, None, "a unit is not known"),
    (["200 | mg | A | 2021-01-01", "200 | mg | B | 2021-01-22"],
     2, 2, 22, None, None, None, "two drugs are not added"),
    (["200 | mg | A | 2021-01-01", "200 | mg | A | 2021-01"],
     2, None, 1, 400, None, None, "a date is not known"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "dose", "cycle", "days", "sum_", "di", "rdi", "why"), DRUG)
def test_doses_of_drug(
    rows: list[str], dose: float, cycle: float | None, days: float, sum_: float | None,
    di: float | None, rdi: float | None, why: str,
) -> None:  # fmt: skip
    dataset, issues = adex_of(doses(*rows))
    expected = {"PDDOSE": dose, "PDCYC": cycle, "PDDUR": days, "PDCUM": sum_, "PDDI": di,
                "PDRDI": rdi, "TRTDUR": days}  # fmt: skip
    known = {code: round(value, 6) for code, value in expected.items() if value is not None}
    assert values(dataset) == known, why
    unknown = sum_ is None and rdi is None
    assert ("AD0022" in {issue.code for issue in issues}) == unknown, why


def test_planned_dose_and_interval_are_settings() -> None:
    data = doses("240 | mg | A | 2021-01-01", "240 | mg | A | 2021-01-15")
    study = Study(treatment={"planned_dose": 480, "dose_interval_days": 28})  # type: ignore[arg-type]
    found = values(adex_of(data, study)[0])
    assert found["PDCYC"] == 2, "half an interval apart"
    assert found["PDDI"] == 480 / 6
    assert found["PDRDI"] == round(100 * 480 / 480 / (42 / 28), 6)


COURSES = {
    "DM": "\n".join(["USUBJID | RFICDTC"] + [f"0{n} | 2021-01-01" for n in range(1, 6)]),
    "PR": """
USUBJID | PRSEQ | PRCAT             | PRLNKID | PRDOSE | PRDOSU | PRSTDTC    | PRENDTC
01      | 1     | RADIATION THERAPY | T01     | 2400   | cGy    | 2021-01-10 | 2021-01-14
01      | 2     | RADIATION THERAPY | T01     | 6      | Gy     | 2021-02-10 | 2021-02-12
01      | 3     | RADIATION THERAPY | T02     | 50     | Gy     | 2021-01-10 | 2021-02-13
02      | 1     | RADIATION THERAPY | T01     | 8      | Gy     | 2021-01-10 | 2021-01-10
02      | 2     | RADIATION THERAPY | T02     |        |        | 2021-01-10 | 2021-01-14
03      | 1     | RADIATION THERAPY | T01     |        |        | 2021-01-10 | 2021-01-14
04      | 1     | RADIATION THERAPY | T01     | 30     | Gy     | 2021-01-10 |
05      | 1     | RADIATION THERAPY | T01     | 30     | Gy     | 2021-06-10 |
""",
    "SUPPPR": """
USUBJID | IDVAR | IDVARVAL | QNAM     | QVAL
01      | PRSEQ | 1        | PRFRNUM  | 3
01      | PRSEQ | 2        | PRFRNUM  | 3
01      | PRSEQ | 3        | PRFRNUM  | 25
01      | PRSEQ | 1        | PRCOMPL  | Y
01      | PRSEQ | 2        | PRCOMPL  | Y
01      | PRSEQ | 3        | PRCOMPL  | Y
02      | PRSEQ | 1        | PRFRNUM  | 1
02      | PRSEQ | 1        | PRCOMPL  | Y
02      | PRSEQ | 2        | PRCOMPL  | N
03      | PRSEQ | 1        | PRFRNUM  | 5
03      | PRSEQ | 1        | PRFRDOSE | 4
04      | PRSEQ | 1        | PRCOMPL  | Y
01      | PRSEQ | 1        | PRPROTFL | Y
01      | PRSEQ | 2        | PRPROTFL | Y
01      | PRSEQ | 3        | PRPROTFL | Y
02      | PRSEQ | 1        | PRPROTFL | Y
02      | PRSEQ | 2        | PRPROTFL | Y
03      | PRSEQ | 1        | PRPROTFL | Y
04      | PRSEQ | 1        | PRPROTFL | Y
05      | PRSEQ | 1        | PRPROTFL | N
""",
    "TU": """
USUBJID | TUSEQ | TULNKID | TUTESTCD | TUSTRESC | TUDTC
01      | 1     | T01     | TUMIDENT | TARGET   | 2021-01-02
01      | 2     | T02     | TUMIDENT | TARGET   | 2021-01-02
02      | 1     | T01     | TUMIDENT | TARGET   | 2021-01-02
02      | 2     | T02     | TUMIDENT | TARGET   | 2021-01-02
""",
}


@pytest.mark.parametrize(
    ("subject", "expected", "why"),
    [
        # 3 x 8 Gy and 3 x 2 Gy on one lesion: 24 * 1.8 + 6 * 1.2; 25 x 2 Gy on the other: 60
        ("01", {"RTDOSE": 80, "RTFRAC": 31, "RTSITE": 2, "RTBED": 60, "RTCOMPL": 1, "RTDUR": 35,
                "TRTDUR": 35}, "two courses of one lesion, one of another"),
        ("02", {"RTSITE": 2, "RTCOMPL": 0, "RTDUR": 5, "TRTDUR": 5},
         "the dose of one site is not known: no total, no highest"),
        ("03", {"RTDOSE": 20, "RTFRAC": 5, "RTSITE": 1, "RTBED": 28, "RTDUR": 5, "TRTDUR": 5},
         "5 fractions of 4 Gy say the dose; nobody says if it was completed"),
        ("04", {"RTDOSE": 30, "RTSITE": 1, "RTCOMPL": 1, "RTDUR": 1, "TRTDUR": 1},
         "without fractions there is no biological dose"),
        ("05", {}, "off protocol"),
    ],
)  # fmt: skip
def test_radiotherapy(subject: str, expected: dict[str, float], why: str) -> None:
    assert values(adex_of(COURSES)[0], subject) == expected, why


def test_alpha_beta_is_a_setting_and_stands_in_the_name() -> None:
    study = Study(radiotherapy={"alpha_beta": 3})  # type: ignore[arg-type]
    dataset, issues = adex_of(COURSES, study)
    # 24 * (1 + 8/3) + 6 * (1 + 2/3) is more than 50 * (1 + 2/3)
    assert values(dataset)["RTBED"] == 98
    names = dataset.frame.loc[dataset.frame["PARAMCD"] == "RTBED", "PARAM"].unique()
    assert names.tolist() == ["Highest BED of an Irradiated Site (Gy), a/b 3"]
    assert [(i.code, i.count) for i in issues if i.code == "AD0022"] == [("AD0022", 1)]


@pytest.mark.parametrize(
    ("dose", "fractions", "each", "ratio", "expected"),
    [
        (30.0, 10.0, None, 10.0, 39.0),
        (24.0, 3.0, 8.0, 10.0, 43.2),
        (24.0, 3.0, None, 3.0, 88.0),
        (None, 5.0, 4.0, 10.0, 28.0),
        (30.0, None, None, 10.0, None),
        (30.0, 0.0, None, 10.0, None),
    ],
)
def test_biologically_effective_dose(
    dose: float | None, fractions: float | None, each: float | None, ratio: float,
    expected: float | None,
) -> None:  # fmt: skip
    columns = [pd.Series([x], dtype="float64") for x in (dose, fractions, each)]
    found = biologically_effective_dose(*columns, ratio)[0]
    assert found == pytest.approx(expected) if expected is not None else pd.isna(found)


def test_a_dose_that_is_in_ex_leads_back_to_ex_too() -> None:
    data = {
        "DM": "USUBJID | RFICDTC\n01 | 2021-01-01",
        "PR": "USUBJID | PRSEQ | PRCAT | PRLNKID | PRSTDTC\n"
        "01 | 1 | RADIATION THERAPY | RT1 | 2021-01-10",
        "EX": "USUBJID | EXSEQ | EXCAT | EXTRT | EXLNKID | EXDOSE | EXDOSU | EXSTDTC\n"
        "01 | 4 | RADIATION THERAPY | RADIOTHERAPY | RT1 | 800 | cGy | 2021-01-10",
    }
    dataset, _ = adex_of(data)
    assert values(dataset)["RTDOSE"] == 8
    row = dataset.frame.index[dataset.frame["PARAMCD"] == "RTDOSE"][0]
    lines = dataset.trace[dataset.trace["row"] == row]
    assert (lines["parent"] + " " + lines["parent_key"]).tolist() == ["EX 01|4", "PR 01|1"]


def test_every_record_leads_back_to_what_was_given() -> None:
    data = {**COURSES, "EX": doses("200 | mg | A | 2021-01-01", "200 | mg | A | 2021-01-22")["EX"]}
    dataset, _ = adex_of(data)
    first = dataset.frame.index[dataset.frame["USUBJID"] == "01"]
    trace = dataset.trace[dataset.trace["row"].isin(first)]
    codes = trace["row"].map(dataset.frame["PARAMCD"])
    lines = pd.Series(trace["parent"] + " " + trace["parent_key"]).groupby(codes).agg(list)
    assert lines["PDCUM"] == ["EX 01|1", "EX 01|2"]
    assert lines["RTDOSE"] == ["PR 01|1", "PR 01|2", "PR 01|3"]
    assert lines["RTDUR"] == ["ADSL 01"]
    place = {f"01|{seq:g}": code for seq, code in dataset.frame.loc[first, ["ASEQ", "PARAMCD"]]
             .to_numpy().tolist()}  # fmt: skip
    assert [place[line.split()[1]] for line in lines["PDDI"]] == ["PDCUM"]
    assert set(dataset.trace["row"]) == set(dataset.frame.index)


@given(seed=st.integers(0, 99))
def test_the_order_of_records_does_not_matter(seed: int) -> None:
    frames = {name: table(text) for name, text in COURSES.items()}
    frames["EX"] = table(doses("200 | mg | A | 2021-01-01", "150 | mg | A | 2021-01-22")["EX"])
    mixed = {
        name: frame.sample(frac=1, random_state=seed).reset_index(drop=True)
        for name, frame in frames.items()
    }
    made = [
        derive_datasets([ADSL, ADEX], data, Study(), NoTerms(), Issues())["ADEX"]
        for data in (frames, mixed)
    ]
    assert_frame_equal(made[0].frame, made[1].frame)
    lines = [m.trace.sort_values(list(m.trace), ignore_index=True) for m in made]
    assert_frame_equal(lines[0], lines[1])


def test_names_and_labels_fit() -> None:
    assert all(len(code) <= 8 and len(p.param) <= 200 for code, p in PARAMETERS.items())
    assert all(label.isascii() and 0 < len(label) <= 40 for label in ADEX.labels.values())


# -- the example, computed a second time -------------------------------------------------------


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def day(dtc: str) -> date:
    return date.fromisoformat(dtc[:10])


def recomputed(sdtm: Path) -> dict[tuple[str, str], float]:
    """Exposure of each subject from EX, PR and SUPPPR, record by record in plain Python."""
    out: dict[tuple[str, str], float] = {}
    given: dict[str, dict[date, float]] = defaultdict(dict)
    for ex in rows_of(sdtm / "ex.csv"):
        if ex["EXCAT"] != "RADIATION THERAPY" and float(ex["EXDOSE"]) > 0:
            assert ex["EXDOSU"] == "mg"
            given[ex["USUBJID"]][day(ex["EXSTDTC"])] = float(ex["EXDOSE"])
    for subject, by_day in given.items():
        first, last, total = min(by_day), max(by_day), sum(by_day.values())
        days = (last - first).days
        out[subject, "PDDOSE"] = out[subject, "PDCYC"] = len(by_day)
        out[subject, "PDDUR"] = days + 1
        out[subject, "PDCUM"] = total
        out[subject, "PDDI"] = total / ((days + 21) / 7)
        out[subject, "PDRDI"] = 100 * total / (200 * (days + 21) / 21)
    extra: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for supp in rows_of(sdtm / "supppr.csv"):
        extra[supp["USUBJID"], supp["IDVARVAL"]][supp["QNAM"]] = supp["QVAL"]
    sites: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    dates: dict[str, list[date]] = defaultdict(list)
    for pr in rows_of(sdtm / "pr.csv"):
        more = extra[pr["USUBJID"], pr["PRSEQ"]]
        if pr["PRCAT"] == "RADIATION THERAPY" and more["PRPROTFL"] == "Y":
            assert pr["PRDOSU"] == "Gy"
            sites[pr["USUBJID"]].append(
                (float(pr["PRDOSE"]), int(more["PRFRNUM"]), more["PRCOMPL"])
            )
            dates[pr["USUBJID"]] += [day(pr["PRSTDTC"]), day(pr["PRENDTC"])]
    for subject, courses in sites.items():
        out[subject, "RTDOSE"] = sum(dose for dose, _, _ in courses)
        out[subject, "RTFRAC"] = sum(n for _, n, _ in courses)
        out[subject, "RTSITE"] = len(courses)
        out[subject, "RTBED"] = max(dose * (1 + dose / n / 10) for dose, n, _ in courses)
        out[subject, "RTCOMPL"] = float(all(done == "Y" for _, _, done in courses))
        out[subject, "RTDUR"] = (max(dates[subject]) - min(dates[subject])).days + 1
    for subject in {name for name, _ in out}:
        every = [*given[subject], *dates[subject]]
        out[subject, "TRTDUR"] = (max(every) - min(every)).days + 1
    return out


def test_the_example_agrees_with_a_second_computation(example_as_csv: Path) -> None:
    made = {
        (row["USUBJID"], row["PARAMCD"]): float(row["AVAL"])
        for row in rows_of(example_as_csv / "adam" / "adex.csv")
    }
    assert len(made) > 250
    assert made == pytest.approx(recomputed(example_as_csv / "sdtm"))
