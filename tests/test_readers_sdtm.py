"""Datasets that already exist are read as frames, whatever the file they come in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pyreadstat
import pytest
from pandas.testing import assert_frame_equal

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.errors import SourceError
from fhir2cdisc.readers.sdtm import find_datasets, read_dataset
from fhir2cdisc.writers.dataset_json import write_dataset_json
from fhir2cdisc.writers.tables import write_csv
from fhir2cdisc.writers.xpt import write_xpt

AE = pd.DataFrame(
    {
        "STUDYID": pd.Series(["S1", "S1"], dtype="str"),
        "DOMAIN": pd.Series(["AE", "AE"], dtype="str"),
        "USUBJID": pd.Series(["S1-1", "S1-2"], dtype="str"),
        "AESEQ": [1.0, 1.0],
        "AETERM": pd.Series(["FATIGUE", "NAUSEA"], dtype="str"),
        "AETOXGR": pd.Series(["2", None], dtype="str"),
        "AESTDTC": pd.Series(["2021-06", "2021-06-01"], dtype="str"),
        "AESTDY": pd.Series([float("nan"), 3.0]),
    },
)
LABELS = {name: f"Label of {name}" for name in AE}


def written(folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix == ".csv":
        write_csv(path, AE)
    elif path.suffix == ".xpt":
        write_xpt(path, "AE", "Adverse Events", AE, LABELS, {}, {})
    else:
        write_dataset_json(path, "AE", "Adverse Events", AE, LABELS, {}, [], study_oid="S1")
    return path


def read_folder(folder):
    return {name: read_dataset(file) for name, file in find_datasets(folder, Issues()).items()}


@pytest.mark.parametrize("suffix", ["xpt", "json", "ndjson", "csv"])
def test_every_format_gives_the_same_frame(tmp_path, suffix):
    written(tmp_path, f"ae.{suffix}")
    read = read_folder(tmp_path)
    assert list(read) == ["AE"]
    assert_frame_equal(read["AE"], AE)


def test_a_folder_is_read_by_name_and_other_files_are_left_alone(tmp_path):
    written(tmp_path, "ae.xpt")
    (tmp_path / "DM.csv").write_text("USUBJID,AGE\nS1-1,64\n")
    (tmp_path / "define.xml").write_text("<ODM/>")
    read = read_folder(tmp_path)
    assert list(read) == ["AE", "DM"]
    assert read["DM"]["AGE"].tolist() == [64.0]


@pytest.mark.parametrize(
    ("dataset", "column", "cell", "expected"),
    [
        ("dm", "AGE", "64", 64.0),
        ("tu", "VISITNUM", "6.1", 6.1),
        ("tu", "VISITDY", "", None),
        ("tr", "TRSTRESN", " 12.0 ", 12.0),  # blanks around a number do not matter
        ("tr", "TRORRES", "7.00", "7.00"),  # a result as collected keeps its digits
        ("ae", "AETOXGR", "3", "3"),  # Char, though all its values are digits
        ("ae", "AESTDTC", "2021", "2021"),  # a partial date is text
        ("ae", "AETERM", "NA", "NA"),  # not a missing value
        ("ae", "AETERM", "", None),
        ("suppae", "IDVARVAL", "1", "1"),
        ("relrec", "RELID", "7", "7"),
        ("xx", "XXSEQ", "4", 4.0),  # a domain of the study: by suffix
        ("xx", "XXSTRESN", "1.5", 1.5),
        ("xx", "XXTERM", "5", "5"),
        ("xx", "NOVEL", "5", "5"),  # unknown: text
        ("adsl", "AGE", "64", 64.0),
    ],
)
def test_a_csv_column_has_the_type_of_the_standard(tmp_path, dataset, column, cell, expected):
    path = tmp_path / f"{dataset}.csv"
    path.write_text(f"USUBJID,{column}\nS1,{cell}\nS2,{cell}\n")
    read = read_dataset(path)[column]
    if expected is None:
        assert read.isna().all()
    else:
        assert read.tolist() == [expected, expected]


def test_a_csv_of_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "dm.csv"
    path.write_bytes('\ufeffUSUBJID,SUBJID\r\n"S1-1","01,1"\r\n'.encode())
    assert read_dataset(path).to_dict("list") == {"USUBJID": ["S1-1"], "SUBJID": ["01,1"]}


def test_dates_of_adam_come_back_as_dates(tmp_path):
    frame = pd.DataFrame({"USUBJID": ["S1"], "ADT": [pd.Timestamp("1931-05-06")]})
    frame["ADT"] = frame["ADT"].astype("datetime64[s]")
    labels = {"USUBJID": "Subject", "ADT": "Analysis Date"}
    write_xpt(tmp_path / "adrs.xpt", "ADRS", "Response", frame, labels, {}, {})
    assert_frame_equal(read_folder(tmp_path)["ADRS"], frame)


def test_a_transport_file_of_another_program_is_read(tmp_path):
    frame = AE.assign(AETOXGR=[2.0, None])  # a number where the SDTMIG has Char
    pyreadstat.write_xport(frame, tmp_path / "ae.xpt", table_name="AE", file_format_version=5)
    assert_frame_equal(read_dataset(tmp_path / "ae.xpt"), AE)


def test_text_in_another_encoding_is_read_when_it_is_named(tmp_path):
    path = tmp_path / "ae.csv"
    path.write_bytes("AETERM\n5 µg\n".encode("windows-1252"))
    with pytest.raises(SourceError, match="not utf-8; name the encoding"):
        read_dataset(path)
    assert read_dataset(path, "windows-1252")["AETERM"].tolist() == ["5 µg"]
    transport = written(tmp_path, "xx.xpt")
    transport.write_bytes(transport.read_bytes().replace(b"NAUSEA", "ÜBEL  ".encode("latin-1")))
    with pytest.raises(SourceError, match="not utf-8; name the encoding"):
        read_dataset(transport)
    assert read_dataset(transport, "windows-1252")["AETERM"].tolist() == ["FATIGUE", "ÜBEL"]


HEAD = {"name": "AE", "records": 1, "columns": [{"name": "AESEQ", "dataType": "integer"}]}
TWICE = {**HEAD, "columns": HEAD["columns"] * 2, "rows": [[1, 2]]}
UNREADABLE = [
    # file, content, what the message says
    ("ae.xpt", b"", "not a SAS transport file"),  # empty
    ("ae.xpt", b"STUDYID,DOMAIN\n", "not a SAS transport file"),  # a CSV under another name
    ("ae.csv", b"", "not a table"),  # empty
    ("ae.csv", b"AETERM,\nFATIGUE,x\n", "a column has no name"),
    ("ae.csv", b"AETERM,AETERM\nA,B\n", "AETERM is there twice"),
    ("ae.csv", b"AETERM\nA,B\n", "not a table"),  # more cells than columns
    ("ae.csv", b"AESEQ,AETERM\none,A\n2,B\n", "1 values of AESEQ are not numbers"),
    ("ae.csv", b"AESEQ,AETERM\ninf,A\n", "1 values of AESEQ are not numbers"),
    ("ae.json", b"{", "not JSON"),
    ("ae.json", b"[]", "not Dataset-JSON"),
    ("ae.json", b'{"resourceType": "Bundle"}', "if it is FHIR"),
    ("ae.json", json.dumps({**HEAD, "rows": []}).encode(), "0 rows where 1 records"),
    ("ae.json", json.dumps({**HEAD, "rows": [[1, 2]]}).encode(), "do not have 1 values"),
    ("ae.json", json.dumps({**HEAD, "rows": [["one"]]}).encode(), "not of its data type integer"),
    ("ae.json", json.dumps({"columns": [{}], "rows": []}).encode(), "a column has no name"),
    ("ae.json", json.dumps(TWICE).encode(), "AESEQ is there twice"),
    ("ae.ndjson", b"{}\n{", "not JSON lines"),
    ("ae.ndjson", b"", "not Dataset-JSON"),
    ("ae.ndjson", json.dumps(HEAD).encode() + b"\n", "0 rows where 1 records"),  # cut off
    ("ae.sas7bdat", b"", "expected .xpt"),
    ("ae.csv.gz", gzip.compress(b"AETERM\n"), "expected .xpt"),
]


@pytest.mark.parametrize(("name", "content", "says"), UNREADABLE)
def test_a_file_that_is_no_dataset_is_refused_by_name(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=says) as error:
        read_dataset(path)
    assert name in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"ae\.xpt: no such file"):
        read_dataset(tmp_path / "ae.xpt")


@pytest.mark.parametrize(
    ("there", "read"),
    [
        (("csv", "json", "xpt"), "json"),
        (("csv", "xpt"), "xpt"),
        (("json", "ndjson"), "json"),
        (("ndjson", "xpt"), "ndjson"),
    ],
)
def test_of_several_formats_the_one_that_keeps_most_is_read_and_told(tmp_path, there, read):
    for suffix in there:
        written(tmp_path, f"ae.{suffix}")
    written(tmp_path, "DM.xpt")
    issues = Issues()
    found = find_datasets(tmp_path, issues)
    assert {name: file.name for name, file in found.items()} == {"AE": f"ae.{read}", "DM": "DM.xpt"}
    (issue,) = issues
    assert (issue.code, issue.samples) == ("SD0016", ("AE",))
    assert issue.message.startswith(f".{read} is read, not .")


def test_a_folder_has_one_file_a_dataset_and_format(tmp_path):
    written(tmp_path, "ae.json")
    written(tmp_path, "AE.json")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system does not tell capitals from small letters")
    with pytest.raises(SourceError, match=r"AE is there twice \(AE.json, ae.json\)"):
        read_folder(tmp_path)


def test_a_folder_without_datasets_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"no dataset; expected files like dm\.xpt"):
        read_folder(tmp_path)
    with pytest.raises(SourceError, match="no such folder"):
        read_folder(tmp_path / "sdtm")


def test_messages_hold_no_values(tmp_path):
    path = tmp_path / "dm.csv"
    path.write_text("SUBJID,AGE\n1,Jane Doe\n")
    with pytest.raises(SourceError) as error:
        read_dataset(path)
    assert "Jane" not in str(error.value)


def test_a_file_with_a_header_only_is_a_dataset_without_rows(tmp_path):
    path = tmp_path / "ae.csv"
    path.write_text("AESEQ,AETERM\n")
    assert_frame_equal(read_dataset(path), AE[["AESEQ", "AETERM"]].iloc[:0])
