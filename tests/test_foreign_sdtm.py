"""`adam` on SDTM that others made: measurements in either style, or responses only."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from fhir2cdisc.cli import main

SUBJECTS = ("X-001", "X-002", "X-003")
DM = "STUDYID,USUBJID,SUBJID,ARM,ACTARM,RFICDTC\n" + "".join(
    f"X,{name},{name[2:]},RT + PD-1,RT + PD-1,2022-01-03\n" for name in SUBJECTS
)
DS = "STUDYID,USUBJID,DSSEQ,DSCAT,DSDECOD,DSSTDTC\n" + "".join(
    f"X,{name},1,PROTOCOL MILESTONE,ENTERED INTO TRIAL,2022-01-10\n" for name in SUBJECTS
)
EX = "STUDYID,USUBJID,EXSEQ,EXTRT,EXDOSE,EXDOSU,EXSTDTC,EXENDTC\n" + "".join(
    f"X,{name},1,PD-1,200,mg,2022-01-12,2022-01-12\n" for name in SUBJECTS
)
TU = """
USUBJID,TUSEQ,TUTESTCD,TULNKID,TUORRES,TUSTRESC,TULOC,TUEVAL,TUDTC
X-001,1,TUMIDENT,T01,TARGET,TARGET,LIVER,INVESTIGATOR,2022-01-05
X-001,2,TUMIDENT,T02,TARGET,TARGET,"LYMPH NODE, AXILLARY",INVESTIGATOR,2022-01-05
X-001,3,TUMIDENT,NT01,NON-TARGET,NON-TARGET,BONE,INVESTIGATOR,2022-01-05
X-002,1,TUMIDENT,T01,TARGET,TARGET,LUNG,INVESTIGATOR,2022-01-05
X-002,2,TUMIDENT,NEW01,NEW,NEW,BRAIN,INVESTIGATOR,2022-04-12
X-003,1,TUMIDENT,T01,TARGET,TARGET,LUNG,INVESTIGATOR,2022-01-05
"""
SUPPTU = """
RDOMAIN,USUBJID,IDVAR,IDVARVAL,QNAM,QVAL
TU,X-001,TUSEQ,1,TUIRRAD,Y
TU,X-001,TUSEQ,2,TUIRRAD,N
TU,X-002,TUSEQ,1,TUIRRAD,N
TU,X-003,TUSEQ,1,TUIRRAD,Y
"""
# Subject, lesion, visit number, date, result.
FOUND = """
X-001 T01 1 2022-01-05 40
X-001 T02 1 2022-01-06 20
X-001 NT01 1 2022-01-05 PRESENT
X-001 T01 2 2022-02-22 24
X-001 T02 2 2022-02-22 12
X-001 NT01 2 2022-02-22 PRESENT
X-001 T01 3 2022-04-05 0
X-001 T02 3 2022-04-05 9
X-001 NT01 3 2022-04-05 PRESENT
X-002 T01 1 2022-01-05 30
X-002 T01 2 2022-02-22 29
X-002 T01 3 2022-04-12 28
X-002 NEW01 3 2022-04-12 PRESENT
X-003 T01 1 2022-01-05 15
X-003 T01 2 2022-02-22 TSTM
X-003 T01 3 2022-04-05
"""


def tr(*, generic: bool) -> str:
    """TR with LDIAM and LPERP and time points, or with DIAMETER, sums, another reader, visits."""
    names = (
        "USUBJID,TRSEQ,TRTESTCD,TRLNKID,TRLNKGRP,TRORRES,TRORRESU,TRSTRESC,TRSTRESN,TRSTRESU,"
        "TRSTAT,TREVAL,VISITNUM,TRDTC"
    )
    lines = [names]
    for n, line in enumerate(FOUND.strip().splitlines(), 1):
        subject, lesion, visit, date, result = (*line.split(), "")[:5]
        test = "LPERP" if (subject, lesion) == ("X-001", "T02") else "LDIAM"
        test = "DIAMETER" if generic else test
        number, unit, status = result, "mm", ""
        if result == "PRESENT":
            test, number, unit = "TUMSTATE", "", ""
        elif result == "TSTM":
            result, number = "TOO SMALL TO MEASURE", "5"
        elif not result:
            unit, status, date = "", "NOT DONE", ""
        group = "" if generic else f"A{visit}"
        shown = number or result
        lines.append(
            f"{subject},{n},{test},{lesion},{group},{result},{unit},{shown},{number},{unit},"
            f"{status},INVESTIGATOR,{visit},{date}"
        )
    if generic:
        lines += [
            "X-001,91,SUMDIAM,,,60,mm,60,60,mm,,INVESTIGATOR,1,2022-01-06",
            "X-001,92,DIAMETER,R1-T01,,90,mm,90,90,mm,,INDEPENDENT ASSESSOR,2,2022-02-22",
        ]
    return "\n".join(lines)


RS = """
USUBJID,RSSEQ,RSTESTCD,RSCAT,RSORRES,RSSTRESC,RSEVAL,VISITNUM,RSDTC
X-001,1,OVRLRESP,RECIST 1.1,PR,PR,INVESTIGATOR,2,2022-02-22
X-001,2,OVRLRESP,RECIST 1.1,PR,PR,INVESTIGATOR,3,2022-04-05
X-002,1,OVRLRESP,RECIST 1.1,SD,SD,INVESTIGATOR,2,2022-02-22
X-002,2,OVRLRESP,RECIST 1.1,PD,PD,INVESTIGATOR,3,2022-04-12
X-003,1,OVRLRESP,RECIST 1.1,PR,PR,INVESTIGATOR,2,2022-02-22
X-003,2,OVRLRESP,RECIST 1.1,NE,NE,INVESTIGATOR,3,2022-04-05
"""
STYLES = {
    "LDIAM and LPERP": {"tu": TU, "supptu": SUPPTU, "tr": tr(generic=False)},
    "DIAMETER": {"tu": TU, "supptu": SUPPTU, "tr": tr(generic=True)},
    "responses only": {"rs": RS},
}


def analysed(folder: Path, style: str) -> Path:
    source, out = folder / "sdtm", folder / "out"
    source.mkdir()
    for name, text in {"dm": DM, "ds": DS, "ex": EX, **STYLES[style]}.items():
        (source / f"{name}.csv").write_text(text.strip() + "\n", encoding="utf-8")
    args = ["adam", str(source), "--out", str(out), "--format", "csv"]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    return out


def read(file: Path) -> pd.DataFrame:
    return pd.read_csv(StringIO(file.read_text(encoding="utf-8")), dtype=str, keep_default_na=False)


@pytest.mark.parametrize("style", STYLES)
def test_the_responses_are_the_same_in_every_style(style: str, tmp_path: Path) -> None:
    out = analysed(tmp_path, style)
    adrs, adsl = read(out / "adam/adrs.csv"), read(out / "adam/adsl.csv")
    best = adrs[adrs["PARAMCD"].isin(["BOR", "CBOR"])].sort_values(["USUBJID", "PARAMCD"])
    assert best["AVALC"].tolist() == ["PR", "PR", "SD", "SD", "PR", "SD"]
    visits = adrs[adrs["PARAMCD"] == "OVR"].sort_values(["USUBJID", "VISITNUM"])
    assert visits["AVALC"].tolist() == ["PR", "PR", "SD", "PD", "PR", "NE"]
    assert adsl["EVLFL"].tolist() == ["Y", "Y", "Y"]
    results = read(out / "results/endpoints.csv").set_index("id")
    assert results.loc["ORR", ["numerator", "denominator"]].tolist() == ["1", "3"]
    assert results.loc["ORR-EVALUABLE", "denominator"] == "3"
    assert results.loc["ORR-UNCONFIRMED", "numerator"] == "2"
    assert results.loc["PFS-EVENTS", "numerator"] == "1"


@pytest.mark.parametrize("style", ["LDIAM and LPERP", "DIAMETER"])
def test_measurements_of_either_style_give_lesion_groups(style: str, tmp_path: Path) -> None:
    out = analysed(tmp_path, style)
    adtr = read(out / "adam/adtr.csv")
    sums = adtr[(adtr["USUBJID"] == "X-001") & (adtr["PARAMCD"] == "SDIAM")].sort_values("ADT")
    assert sums["AVAL"].astype(float).tolist() == [60, 36, 9]
    results = read(out / "results/endpoints.csv").set_index("id")
    assert results.loc["NRCR", ["numerator", "denominator"]].tolist() == ["2", "2"]
    assert results.loc["ARR", ["numerator", "denominator"]].tolist() == ["1", "2"]
    codes = set(read(out / "issues.csv")["code"])
    assert codes.isdisjoint({"RS0001", "RS0003", "RS0004", "RS0005", "RS0009"})
    assert ("RS0008" in codes) == (style == "DIAMETER")


def test_without_measurements_what_needs_lesions_is_not_estimable(tmp_path: Path) -> None:
    out = analysed(tmp_path, "responses only")
    results = read(out / "results/endpoints.csv").set_index("id")
    for id_ in ("NRCR", "IRCR", "ARR", "ORR-VOLUME", "ORR-NONIRRAD"):
        assert results.loc[id_, "estimate"] == "NE", id_
    assert not (out / "adam/adtr.csv").exists()
    assert set(read(out / "adam/adrs.csv")["PARCAT2"]) == {"INVESTIGATOR"}
