"""What the writers promise: strict, exact, reproducible; checked with readers that are not ours."""

from __future__ import annotations

import io
import json
import os
import zipfile
from datetime import datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odmlib.dataset_json_1_1.model import DatasetJSON
from pandas.testing import assert_frame_equal, assert_series_equal

from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.package import Package
from fhir2cdisc.core.text import ascii_problems, max_lengths, to_ascii
from fhir2cdisc.protocol import settings_in_force
from fhir2cdisc.readers.sdtm import read_dataset
from fhir2cdisc.study import Study
from fhir2cdisc.writers.dataset_json import default_type, write_dataset_json
from fhir2cdisc.writers.package import write_package
from fhir2cdisc.writers.tables import write_csv, write_parquet
from fhir2cdisc.writers.xpt import FormatError, ibm_floats, write_xpt

# Exact in both representations, and inside the range of the transport format.
NUMBERS = st.one_of(
    st.none(),
    st.integers(-(2**53), 2**53).map(float),
    st.floats(min_value=1e-70, max_value=1e70, allow_nan=False),
    st.floats(min_value=-1e70, max_value=-1e-70, allow_nan=False),
)
ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
# What the format keeps: no blanks at the end, no empty text.
TEXT = st.one_of(st.none(), ASCII.map(lambda text: text.rstrip(" ")).map(lambda text: text or None))
DATES = st.one_of(st.none(), st.dates(datetime(1850, 1, 1).date(), datetime(2150, 1, 1).date()))


@st.composite
def frames(draw, text=TEXT):
    """An analysis dataset: text, numbers and dates, with a subject so that no row is blank."""
    rows = draw(st.integers(0, 12))

    def column(values):
        return draw(st.lists(values, min_size=rows, max_size=rows))

    return pd.DataFrame(
        {
            "USUBJID": pd.Series([f"S-{row}" for row in range(rows)], dtype="str"),
            "XXTERM": pd.Series(column(text), dtype="str"),
            "AVAL": pd.Series(column(NUMBERS), dtype="float64"),
            "ADT": pd.to_datetime(pd.Series(column(DATES), dtype="object")).astype("datetime64[s]"),
        },
    )


def labels(frame):
    return {name: f"Label of {name}" for name in frame}


def xpt(path, frame, name="ADXX", lengths=None, formats=None, **more):
    write_xpt(path, name, "A dataset", frame, labels(frame), lengths or {}, formats or {}, **more)
    return path


def dataset_json(path, frame, **more):
    arguments = {"types": {}, "keys": [], "study_oid": "S1", **more}
    write_dataset_json(path, "ADXX", "A dataset", frame, labels(frame), **arguments)
    return path


def char(*values):
    return pd.DataFrame({"XXTERM": pd.Series(values, dtype="str")})


def num(*values):
    return pd.DataFrame({"AVAL": pd.Series(values, dtype="float64")})


# SAS transport files ---------------------------------------------------------------------------


@settings(deadline=None)
@given(frame=frames())
def test_a_transport_file_gives_back_what_was_written(tmp_path_factory, frame):
    path = xpt(tmp_path_factory.mktemp("xpt") / "adxx.xpt", frame)
    assert_frame_equal(read_dataset(path), frame)


@settings(deadline=None)
@given(frame=frames().filter(len))
def test_pandas_reads_the_same_values(tmp_path_factory, frame):
    path = xpt(tmp_path_factory.mktemp("xpt") / "adxx.xpt", frame, lengths={"XXTERM": 90})
    read = pd.read_sas(path, format="xport", encoding="ascii").iloc[: len(frame)]
    # pandas reads 0 as 5.4e-79 and a multiple of 16**-14 loses its last bits.
    assert np.allclose(read["AVAL"], frame["AVAL"], rtol=1e-15, atol=1e-70, equal_nan=True)
    assert_series_equal(read["XXTERM"].astype("str").replace("", np.nan), frame["XXTERM"])
    days = (frame["ADT"] - pd.Timestamp("1960-01-01")) / pd.Timedelta(days=1)
    assert np.allclose(read["ADT"], days, rtol=1e-15, atol=1e-70, equal_nan=True)


def test_the_same_dataset_gives_the_same_bytes(tmp_path):
    frame = pd.concat([char("A", None), num(1.5, np.nan)], axis=1)
    first, second = xpt(tmp_path / "a.xpt", frame), xpt(tmp_path / "b.xpt", frame)
    assert first.read_bytes() == second.read_bytes()
    other = xpt(tmp_path / "c.xpt", frame, created=datetime(2026, 2, 3, 4, 5, 6))
    assert b"03FEB26:04:05:06" in other.read_bytes()


def test_a_narrow_dataset_keeps_its_last_record(tmp_path):
    """pandas would lose it: it takes every eight blanks of the last 80 bytes for padding."""
    frame = pd.DataFrame({"USUBJID": ["S1-1"] * 7, "IDVARVAL": ["1", *[""] * 6]}, dtype="str")
    lengths = {"USUBJID": 8, "IDVARVAL": 20}
    path = xpt(tmp_path / "relrec.xpt", frame, "RELREC", lengths)
    assert len(read_dataset(path)) == len(pyreadstat.read_xport(str(path))[0]) == 7
    assert len(pd.read_sas(path, encoding="utf-8")) < 7


def test_labels_lengths_and_formats_are_read_again(tmp_path):
    frame = pd.DataFrame(
        {
            "XXTERM": pd.Series(["A"], dtype="str"),
            "AVAL": [1.25],
            "ADT": pd.Series([pd.Timestamp("2021-06-01")]).astype("datetime64[s]"),
            "ADTM": pd.Series([pd.Timestamp("2021-06-01T09:30")]).astype("datetime64[s]"),
        },
    )
    path = xpt(tmp_path / "adxx.xpt", frame, lengths={"XXTERM": 17}, formats={"AVAL": "8.2"})
    _, meta = pyreadstat.read_xport(path, disable_datetime_conversion=True)
    assert (meta.table_name, meta.file_label) == ("ADXX", "A dataset")
    assert meta.column_names_to_labels == labels(frame)
    assert meta.variable_storage_width == {"XXTERM": 17, "AVAL": 8, "ADT": 8, "ADTM": 8}
    assert meta.original_variable_types["AVAL"] == "8.2"
    assert meta.original_variable_types["ADT"] == "DATE9"
    assert meta.original_variable_types["ADTM"] == "DATETIME20"
    assert_frame_equal(read_dataset(path), frame)


def test_dates_are_days_since_1960(tmp_path):
    frame = pd.DataFrame(
        {"ADT": pd.to_datetime(pd.Series(["1960-01-02", "1959-12-31", None]))},
    ).astype("datetime64[s]")
    path = xpt(tmp_path / "adxx.xpt", frame)
    read, _ = pyreadstat.read_xport(path, disable_datetime_conversion=True)
    assert read["ADT"].fillna(-99).tolist() == [1.0, -1.0, -99.0]


def test_a_dataset_without_rows_keeps_its_variables(tmp_path):
    frame = pd.concat([char(), num()], axis=1)
    path = xpt(tmp_path / "adxx.xpt", frame)
    assert len(path.read_bytes()) % 80 == 0
    assert_frame_equal(read_dataset(path), frame)


@pytest.mark.parametrize("rows", range(1, 12))
def test_narrow_rows_are_told_from_padding(tmp_path, rows):
    frame = char("A", *[None] * (rows - 1), "B")
    assert_frame_equal(read_dataset(xpt(tmp_path / "xx.xpt", frame, name="XX")), frame)


def test_many_rows_are_written_in_parts_without_a_seam(tmp_path):
    frame = pd.DataFrame(
        {
            "XXTERM": pd.Series(["x" * 200] * 170_000, dtype="str"),
            "XXSEQ": np.arange(170_000, dtype="float64"),
        },
    )
    assert_frame_equal(read_dataset(xpt(tmp_path / "xx.xpt", frame, name="XX")), frame)


def test_the_missing_number_is_a_point_and_the_rest_zero():
    assert ibm_floats(np.array([np.nan])).tobytes() == b"." + bytes(7)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, "0000000000000000"),
        (-0.0, "0000000000000000"),
        (1.0, "4110000000000000"),  # the examples of the record layout
        (-1.0, "c110000000000000"),
        (2.0, "4120000000000000"),
        (-118.625, "c276a00000000000"),
        (0.1, "401999999999999a"),
    ],
)
def test_numbers_are_ibm_doubles(number, expected):
    assert ibm_floats(np.array([number])).tobytes().hex() == expected


REFUSED = [
    # name, label, frame, labels, lengths, formats, what the message says
    ("adxx", "L", num(1), None, {}, {}, "capitals"),  # lower case
    ("9XX", "L", num(1), None, {}, {}, "a letter, then"),  # starts with a digit
    ("A_B", "L", num(1), None, {}, {}, "letters or digits"),  # underscore
    ("ADXXXXXXX", "L", num(1), None, {}, {}, "at most 7"),  # nine characters
    ("XX", "L", num(1).set_axis(["VARIABLEX"], axis=1), None, {}, {}, "variable of XX"),  # nine
    ("XX", "L" * 41, num(1), None, {}, {}, "41 characters"),  # dataset label too long
    ("XX", "L", num(1), {"AVAL": "L" * 41}, {}, {}, "41 characters"),  # variable label too long
    ("XX", "L", num(1), {"AVAL": "Größe"}, {}, {}, "not printable ASCII"),  # label not ASCII
    ("XX", "L", num(1), {"AVAL": "Subject's"}, {}, {}, "do not match"),  # one apostrophe
    ("XX", "L", num(1), {"AVAL": "Value (mm"}, {}, {}, "do not match"),  # open bracket
    ("XX", "L", num(1), {"AVAL": "a) (b"}, {}, {}, "do not match"),  # closed before opened
    ("XX", "L", num(1), {}, {}, {}, "no label"),
    ("XX", "L", char("naïve"), None, {}, {}, "1 values are not printable ASCII"),
    ("XX", "L", char("two\nlines"), None, {}, {}, "not printable ASCII"),  # a control character
    ("XX", "L", char("x" * 201), None, {}, {}, "length 201"),  # over 200 bytes
    ("XX", "L", char("xx"), None, {"XXTERM": 1}, {}, "has 2 bytes, the variable has 1"),
    ("XX", "L", char("x"), None, {"XXTERM": 201}, {}, "length 201"),  # declared too long
    ("XX", "L", char("x"), None, {"XXTERM": 0}, {}, "length 0"),
    ("XX", "L", char("x", None), None, {}, {}, "last row has no value"),  # looks like padding
    ("XX", "L", num(np.inf), None, {}, {}, "1 numbers are infinite"),
    ("XX", "L", num(1e76), None, {}, {}, "above 7.2e75"),
    ("XX", "L", num(1e-80), None, {}, {}, "below 5.4e-79"),  # would become 0
    ("XX", "L", num(1), None, {}, {"AVAL": "DATETIMEAMPM20."}, "not a SAS format"),
    ("XX", "L", num(1), None, {}, {"AVAL": "$20."}, "for numbers"),  # a text format
    ("XX", "L", char("x"), None, {}, {"XXTERM": "DATE9."}, "for text"),
    ("XX", "L", pd.DataFrame({"AVAL": [object()]}), None, {}, {}, "neither text, number nor date"),
    ("XX", "L", pd.DataFrame(), None, {}, {}, "0 variables"),
    ("XX", "L", pd.concat([num(1), num(2)], axis=1), None, {}, {}, "there twice"),
    (
        "XX",
        "L",
        pd.DataFrame({"ADT": [pd.Timestamp("2021-06-01T09:30")]}),  # days have no time
        None,
        {},
        {},
        "time of day",
    ),
    (
        "XX",
        "L",
        pd.DataFrame({"ADT": [pd.Timestamp("2021-06-01", tz="UTC")]}),
        None,
        {},
        {},
        "time zone",
    ),
    (
        "XX",
        "L",
        pd.DataFrame({"ADTM": [pd.Timestamp("2021-06-01T00:00:00.5")]}),
        None,
        {},
        {},
        "fractions of a second",
    ),
]


@pytest.mark.parametrize(("name", "label", "frame", "given", "lengths", "formats", "says"), REFUSED)
def test_what_a_transport_file_cannot_hold_is_refused(
    tmp_path, name, label, frame, given, lengths, formats, says
):
    given = labels(frame) if given is None else given
    with pytest.raises(FormatError, match=says):
        write_xpt(tmp_path / "xx.xpt", name, label, frame, given, lengths, formats)
    assert not list(tmp_path.iterdir()), "half a file was left"


def test_a_refused_dataset_leaves_the_file_of_the_last_run(tmp_path):
    path = xpt(tmp_path / "xx.xpt", num(1))
    before = path.read_bytes()
    with pytest.raises(FormatError):
        xpt(path, num(np.inf))
    assert path.read_bytes() == before


# Text -------------------------------------------------------------------------------------------


def test_a_variable_has_one_length_in_the_study_but_for_supplemental_qualifiers():
    studied = {
        "AE": pd.DataFrame({"USUBJID": ["S-1"], "AESEQ": [1.0], "AETERM": ["FATIGUE  "]}),
        "DM": pd.DataFrame({"USUBJID": ["S-0001"], "DMX": pd.Series([None], dtype="str")}),
        "SUPPAE": pd.DataFrame({"USUBJID": ["S-1"], "QVAL": ["é"]}),
    }
    assert max_lengths(studied) == {
        "AE": {"USUBJID": 6, "AETERM": 7},
        "DM": {"USUBJID": 6, "DMX": 1},
        "SUPPAE": {"USUBJID": 3, "QVAL": 2},
    }


def test_problems_name_the_rows_that_a_transport_file_cannot_hold():
    frame = pd.DataFrame(
        {
            "AETERM": pd.Series(["plain", "5 µm", "x" * 201, None, "tab\there"], dtype="str"),
            "AEDECOD": pd.Series(["a", "b", "c", "d", "~ !"], dtype="str"),
            "AESEQ": [1.0, 2.0, 3.0, 4.0, 5.0],
        },
    ).set_axis([10, 11, 12, 13, 14])
    problems = ascii_problems(frame)
    assert list(problems) == ["AETERM"]
    assert problems["AETERM"][lambda rows: rows].index.tolist() == [11, 12, 14]


@pytest.mark.parametrize(
    ("value", "expected", "lost"),
    [
        ("plain", "plain", False),
        ("café", "cafe", False),  # accents go
        ("Škoda Ångström", "Skoda Angstrom", False),
        ("≥ 5 µg – “x”…", '>= 5 ug - "x"...', False),  # typography
        ("Straße Ærø", "Strasse AEro", False),  # letters that have no parts
        ("a\tb\u00a0c\r\nd", "a b c  d", False),  # white space
        ("10²", "102", False),  # a superscript is its digit
        ("肿瘤 T", "?? T", True),  # no counterpart
    ],
)
def test_the_nearest_ascii(value, expected, lost):
    series, mask = to_ascii(pd.Series([value, None], dtype="str"))
    assert series[0] == expected
    assert pd.isna(series[1])
    assert mask.tolist() == [lost, False]


@given(st.lists(st.one_of(st.none(), st.text(max_size=10)), max_size=5))
def test_after_transliteration_a_transport_file_can_hold_every_value(values):
    series, _ = to_ascii(pd.Series(values, dtype="str"))
    assert series.dtype == "str"
    assert ascii_problems(series.to_frame("XXTERM")) == {}


# Dataset-JSON -----------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    frame=frames(text=st.one_of(st.none(), st.text(st.characters(codec="utf-8"), min_size=1))),
    suffix=st.sampled_from([".json", ".ndjson"]),
)
def test_dataset_json_gives_back_what_was_written(tmp_path_factory, frame, suffix):
    path = dataset_json(tmp_path_factory.mktemp("json") / f"adxx{suffix}", frame)
    assert_frame_equal(read_dataset(path), frame)


ADAM = pd.DataFrame(
    {
        "USUBJID": pd.Series(["S-1", "S-2"], dtype="str"),
        "ASEQ": [1.0, 2.0],
        "AVAL": [7.5, np.nan],
        "ADT": pd.to_datetime(pd.Series(["2021-06-01", None])).astype("datetime64[s]"),
        "ADTM": pd.to_datetime(pd.Series(["2021-06-01T09:30:00", None])).astype("datetime64[s]"),
        "RSDTC": pd.Series(["2021-06", None], dtype="str"),
        "TRORRES": pd.Series(["7.00", None], dtype="str"),
    },
)
ADAM_TYPES = {"TRORRES": "decimal"}


def adam_json(folder, name="adxx.json"):
    return dataset_json(
        folder / name,
        ADAM,
        types=ADAM_TYPES,
        keys=["USUBJID", "ASEQ"],
        metadata_oid="MDV.S1",
        metadata_ref="define.xml",
        originator="Sponsor",
        source_system=("fhir2cdisc", "1"),
        formats={"AVAL": "8.2"},
        lengths={"USUBJID": 12},
    )


def test_dates_of_adam_are_text_that_becomes_a_number_again(tmp_path):
    content = json.loads(adam_json(tmp_path).read_text(encoding="utf-8"))
    columns = {column["name"]: column for column in content["columns"]}
    assert columns["ADT"] == {
        "itemOID": "IT.ADXX.ADT",
        "name": "ADT",
        "label": "Label of ADT",
        "dataType": "date",
        "targetDataType": "integer",
        "displayFormat": "E8601DA.",
    }
    assert columns["ADTM"]["dataType"] == "datetime"
    assert "targetDataType" not in columns["RSDTC"]
    assert [columns[key]["keySequence"] for key in ("USUBJID", "ASEQ")] == [1, 2]
    assert content["rows"] == [
        ["S-1", 1, 7.5, "2021-06-01", "2021-06-01T09:30:00", "2021-06", "7.00"],
        ["S-2", 2, None, None, None, None, None],
    ]
    assert (content["records"], content["itemGroupOID"]) == (2, "IG.ADXX")


def test_odmlib_reads_the_same_dataset(tmp_path):
    read = DatasetJSON.read_json(str(adam_json(tmp_path)))
    assert [column.name for column in read.columns] == list(ADAM)
    assert read.records == 2
    assert read.rows[0][6] == "7.00"


@pytest.mark.parametrize("suffix", [".json", ".ndjson"])
def test_dataset_json_is_valid_against_the_published_schema(tmp_path, suffix):
    schema = published_schema()
    content = read_objects(adam_json(tmp_path, f"adxx{suffix}"))
    empty = read_objects(dataset_json(tmp_path / f"empty{suffix}", ADAM.iloc[:0]))
    for instance in (content, empty):
        jsonschema.validate(instance, schema)


def read_objects(path):
    """A file as the one object that the schema describes."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    head, *rows = [json.loads(line) for line in io.StringIO(text)]
    return {**head, "rows": rows}


def published_schema():
    """The schema as the conformance engine carries it; it is not ours to ship."""
    named = os.environ.get("DATASET_JSON_SCHEMA", "")
    inside = "resources/schema/dataset.schema.json"
    if named.endswith(".whl"):
        return json.loads(zipfile.ZipFile(named).read(inside))
    if named:
        return json.loads(Path(named).read_text(encoding="utf-8"))
    try:
        file = distribution("cdisc-rules-engine").locate_file(inside)
    except PackageNotFoundError:
        pytest.skip(
            "needs the schema of Dataset-JSON 1.1: install cdisc-rules-engine, or name the schema "
            "or the wheel in DATASET_JSON_SCHEMA",
        )
    return json.loads(Path(str(file)).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("frame", "more", "says"),
    [
        (num(0.5), {"types": {"AVAL": "integer"}}, "not whole"),
        (num(np.inf), {}, "infinite"),
        (num(1), {"types": {"AVAL": "number"}}, "no data type"),  # JSON's word, not Dataset-JSON's
        (num(1), {"types": {"AVAL": "date"}}, "numbers cannot"),
        (char("1"), {"types": {"XXTERM": "integer"}}, "text cannot"),
        (ADAM[["ADT"]], {"types": {"ADT": "float"}}, "dates cannot"),
        (num(1), {"keys": ["USUBJID"]}, "no variable of the dataset"),
        (pd.concat([num(1), num(2)], axis=1), {}, "there twice"),
        (pd.DataFrame({"AVAL": [object()]}), {}, "neither text, number nor date"),
    ],
)
def test_what_dataset_json_cannot_say_is_refused(tmp_path, frame, more, says):
    with pytest.raises(FormatError, match=says):
        dataset_json(tmp_path / "adxx.json", frame, **more)
    assert not list(tmp_path.iterdir())


def test_a_variable_without_label_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"ADXX\.AVAL: the variable has no label"):
        write_dataset_json(tmp_path / "a.json", "ADXX", "L", num(1), {}, {}, [], study_oid="S")


def test_the_data_type_follows_the_values():
    kinds = {name: default_type(ADAM[name]) for name in ADAM}
    assert kinds == {
        "USUBJID": "string",
        "ASEQ": "integer",
        "AVAL": "float",
        "ADT": "date",
        "ADTM": "datetime",
        "RSDTC": "string",
        "TRORRES": "string",
    }


# Parquet and CSV --------------------------------------------------------------------------------


def test_parquet_has_labels_and_no_index(tmp_path):
    write_parquet(tmp_path / "a.parquet", ADAM, {"AVAL": "Analysis Value"})
    write_parquet(tmp_path / "b.parquet", ADAM, {"AVAL": "Analysis Value"})
    table = pq.read_table(tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert table.column_names == list(ADAM)
    assert table.schema.field("AVAL").metadata == {b"label": b"Analysis Value"}
    assert table.schema.metadata is None
    assert [str(field.type) for field in table.schema] == [
        "string",
        "double",
        "double",
        "date32[day]",
        "timestamp[ms]",
        "string",
        "string",
    ]
    assert table.column("AVAL").to_pylist() == [7.5, None]
    assert str(table.column("ADT").to_pylist()[0]) == "2021-06-01"


def test_csv_is_plain(tmp_path):
    write_csv(tmp_path / "a.csv", ADAM.assign(RSTERM=['a "b", c', "µ"], ASEQ=[1.0, 1e20]))
    assert (tmp_path / "a.csv").read_bytes().decode() == (
        "USUBJID,ASEQ,AVAL,ADT,ADTM,RSDTC,TRORRES,RSTERM\n"
        'S-1,1,7.5,2021-06-01,2021-06-01T09:30:00,2021-06,7.00,"a ""b"", c"\n'
        "S-2,1e+20,,,,,,µ\n"
    )


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_csv_numbers_read_as_the_same_numbers(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    frame = pd.DataFrame({"USUBJID": "S", "AVAL": pd.Series(values, dtype="float64")})
    write_csv(path, frame)
    read = pd.read_csv(path, dtype={"AVAL": "float64"})
    assert_series_equal(read["AVAL"], frame["AVAL"])
    assert ".0," not in path.read_text().replace("\n", ",")


def test_a_listing_is_a_file_of_the_results(tmp_path):
    listing = pd.DataFrame({"USUBJID": pd.Series(["S1", None], dtype="str"), "AVAL": [1.5, 2.0]})
    package = Package(
        study="S",
        sdtm={},
        adam={},
        endpoints=pd.DataFrame(),
        endpoints_json=[],
        issues=Issues(),
        ledger=None,
        protocol=pd.DataFrame(settings_in_force(Study())),
        listings={"responders": listing},
        run={"fhir2cdisc": "0"},
    )
    write_package(package, tmp_path / "out", ["csv"])
    written = (tmp_path / "out/results/responders.csv").read_text(encoding="utf-8")
    assert written == "USUBJID,AVAL\nS1,1.5\n,2\n"
