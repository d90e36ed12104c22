"""The shipped tables are what the standards say, and are read as they are."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path

import pytest

from fhir2cdisc.adam import standard as adam
from fhir2cdisc.errors import DeclarationError
from fhir2cdisc.sdtm import standard as sdtm
from fhir2cdisc.terminology import codelists

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "src" / "fhir2cdisc"
SHIPPED = sorted(
    file
    for folder in ("sdtm/data", "adam/data", "terminology/codelists")
    for file in (PACKAGE / folder).glob("*.json")
)


def reference() -> Path:
    """The folder of the published spreadsheets: named, or beside the repository."""
    named = os.environ.get("FHIR2CDISC_REFERENCE")
    inside = "standards/sdtmig34_variables.csv"
    found = [Path(named) / inside] if named else sorted(REPOSITORY.parent.glob(f"*/{inside}"))
    if not found or not found[0].is_file():
        pytest.skip("needs the published spreadsheets: name their folder in FHIR2CDISC_REFERENCE")
    return found[0].parent


def generator():
    spec = importlib.util.spec_from_file_location(
        "make_standards", REPOSITORY / "tools" / "make_standards.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_tables_are_what_the_generator_makes():
    made = generator().tables(reference())
    shipped = {str(f.relative_to(PACKAGE)): f.read_text(encoding="utf-8") for f in SHIPPED}
    assert sorted(shipped) == sorted(made)
    assert [path for path in made if made[path] != shipped[path]] == []


def test_no_explanatory_text_of_the_standards_is_shipped():
    longest = {}
    for file in SHIPPED:
        for text in texts(json.loads(file.read_text(encoding="utf-8"))):
            longest[file.name] = max(longest.get(file.name, ""), text, key=len)
    too_long = {name: text for name, text in longest.items() if len(text) > 200}
    assert too_long == {}
    assert sum(file.stat().st_size for file in SHIPPED) < 2_500_000


def texts(value):
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_table_says_where_it_comes_from(file):
    head = json.loads(file.read_text(encoding="utf-8"))
    assert "NCI" in head["attribution"] or "CDISC" in head["attribution"]
    if file.stem != "_index":
        assert head["source"]
        assert re.fullmatch(r"\d\.\d|\d{4}-\d\d-\d\d", head["edition"])


# SDTM -------------------------------------------------------------------------------------------


def test_the_sdtmig_has_63_datasets_and_1917_variables():
    assert len(sdtm.domains()) == 63
    assert sum(len(sdtm.variables(domain)) for domain in sdtm.domains()) == 1917


def test_variables_are_in_the_order_of_the_ig():
    names = [variable.name for variable in sdtm.variables("TU")]
    assert names[:5] == ["STUDYID", "DOMAIN", "USUBJID", "TUSEQ", "TUGRPID"]
    assert names.index("TUTESTCD") < names.index("TUORRES") < names.index("TUDTC")


def test_a_variable_is_what_the_ig_says():
    assert sdtm.variable("TU", "TULOC") == sdtm.Variable(
        "TULOC",
        "Location of the Tumor/Lesion",
        "Char",
        "Record Qualifier",
        "Exp",
        ("C74456",),
    )
    assert sdtm.variable("DM", "AGE").type == "Num"
    assert sdtm.variable("DS", "DSDECOD").codelists == ("C66727", "C114118", "C150811")


def test_a_dataset_is_what_the_ig_says():
    tumours = sdtm.dataset("TU")
    assert (tumours.label, tumours.cls) == ("Tumor/Lesion Identification", "Findings")
    assert tumours.structure.startswith("One record per identified tumor")


@pytest.mark.parametrize("domain", ["TU", "AE", "XX"])
def test_supplemental_qualifiers_name_their_domain(domain):
    info = sdtm.dataset(f"SUPP{domain}")
    assert info.name == f"SUPP{domain}"
    assert info.label == f"Supplemental Qualifiers for {domain}"
    assert [v.name for v in sdtm.variables(f"SUPP{domain}")] == [
        *("STUDYID", "RDOMAIN", "USUBJID", "IDVAR", "IDVARVAL"),
        *("QNAM", "QLABEL", "QVAL", "QORIG", "QEVAL"),
    ]


def test_relrec_is_a_dataset():
    assert sdtm.dataset("RELREC").label == "Related Records"
    assert [v.name for v in sdtm.variables("RELREC")][-2:] == ["RELTYPE", "RELID"]


def test_what_the_sdtmig_does_not_have_is_refused():
    with pytest.raises(DeclarationError, match=r"XX: SDTMIG 3\.4 has no such dataset"):
        sdtm.variables("XX")
    with pytest.raises(DeclarationError, match=r"TU\.TUFOO: .*put the value into SUPPTU"):
        sdtm.variable("TU", "TUFOO")


@pytest.mark.parametrize(
    ("name", "domain", "expected"),
    [
        ("AESEQ", "AE", "Num"),
        ("AESEQ", "", "Num"),
        ("XXSEQ", "XX", "Num"),  # by suffix in a domain of the study
        ("XXDTC", "XX", "Char"),
        ("XXSEQ", "", None),  # of which domain?
        ("NOVEL", "XX", None),
        ("QVAL", "SUPPXX", "Char"),
    ],
)
def test_the_type_by_name(name, domain, expected):
    assert sdtm.type_of(name, domain) == expected


def test_a_name_has_one_type_whatever_the_domain():
    types = {}
    suffixes = {}
    for domain in sdtm.domains():
        for v in sdtm.variables(domain):
            types.setdefault(v.name, set()).add(v.type)
            if len(domain) == 2 and v.name.startswith(domain):
                suffixes.setdefault(v.name[2:], set()).add(v.type)
    assert {name: found for name, found in types.items() if len(found) > 1} == {}
    assert {name: found for name, found in suffixes.items() if len(found) > 1} == {}


def test_every_label_fits_into_a_transport_file():
    labels = [v.label for domain in sdtm.domains() for v in sdtm.variables(domain)]
    labels += [sdtm.dataset(domain).label for domain in sdtm.domains() if domain != "SUPPQUAL"]
    assert [label for label in labels if len(label) > 40 or not label.isascii()] == []


# ADaM -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label", "kind", "structure"),
    [
        ("TRTSDT", "Date of First Exposure to Treatment", "Num", "ADSL"),
        ("TRT01P", "Planned Treatment for Period 01", "Char", "ADSL"),
        ("TR02PG1", "Planned Pooled Treatment 1 for Period 02", "Char", "ADSL"),
        ("P01S2SDT", "Period 01 Subperiod 2 Start Date", "Num", "ADSL"),
        ("AVALCAT1", "Analysis Value Category 1", "Char", "BDS"),
        ("ANL01FL", "Analysis Flag 01", "Char", "BDS"),
        ("A1LO", "Analysis Range 1 Lower Limit", "Num", "BDS"),
        ("CNSR", "Censor", "Num", "BDS"),
        ("EVNTDESC", "Event or Censoring Description", "Char", "BDS"),
        ("RSSEQ", "Sequence Number", "Num", "SDTM"),  # carried over
        ("TULOC", "Location of the Tumor/Lesion", "Char", "SDTM"),
        ("AOCCFL", "1st Occurrence within Subject Flag", "Char", "other"),
        ("TRTEMFL", "Treatment Emergent Analysis Flag", "Char", "other"),
        ("PCHGNAD", "Percent Change from NADIR", "Num", "other"),
    ],
)
def test_a_variable_of_adam(name, label, kind, structure):
    found = adam.variable(name)
    assert (found.name, found.label, found.type, found.structure) == (name, label, kind, structure)


@pytest.mark.parametrize(
    "name",
    [
        "TRT1P",  # a period has two digits
        "TRTxxP",  # the pattern itself
        "AVALCAT0",  # categories count from 1
        "AVALCAT",
        "LASTDT",  # *DT: the label is the study's
        "NOVEL",
    ],
)
def test_a_name_that_adam_does_not_have_is_refused(name):
    with pytest.raises(DeclarationError, match=f"{name}: neither ADaMIG 1.3 nor SDTMIG 3.4"):
        adam.variable(name)


def test_the_adamig_has_adsl_and_bds():
    assert len(adam.variables("ADSL")) == 141
    assert len(adam.variables("BDS")) == 195 - 18  # less the suffixes for timing of one's own
    required = [v.name for v in adam.variables("ADSL") if v.core == "Req"]
    assert required[:4] == ["STUDYID", "USUBJID", "SUBJID", "SITEID"]
    with pytest.raises(DeclarationError, match="no ADaM structure"):
        adam.variables("ADRS")


# Terminology ------------------------------------------------------------------------------------


def test_a_codelist_by_name_and_by_code():
    locations = codelists.codelist("LOC")
    assert locations is codelists.codelist("LOC")
    assert codelists.codelist("C74456") == locations
    assert (locations.code, locations.label) == ("C74456", "Anatomical Location")
    assert (locations.extensible, locations.edition) == (True, "2025-03-28")
    assert len(locations.terms) == 1397
    assert locations.terms["ABDOMINAL CAVITY"].synonyms == ("Abdomen",)


def test_a_term_by_its_code():
    assert codelists.codelist("ONCRSR").term_by_code("C18213").value == "SD"
    assert codelists.codelist("ONCRSR").term_by_code("C12392") is None
    found = codelists.terms_by_code("C12392")
    assert found["LOC"].value == "LIVER"
    assert codelists.terms_by_code("C0") == {}


def test_a_test_and_its_short_name_share_their_codes():
    for test, short in [("TUTEST", "TUTESTCD"), ("TRTEST", "TRTESTCD"), ("ONCRTS", "ONCRTSCD")]:
        codes = {term.code for term in codelists.codelist(test).terms.values()}
        assert codes == {term.code for term in codelists.codelist(short).terms.values()}


def test_a_code_is_once_in_a_codelist():
    for name in codelists.names():
        terms = codelists.codelist(name).terms.values()
        assert len({term.code for term in terms}) == len(terms), name


def test_the_codelists_of_the_mapped_domains_are_shipped():
    used = {
        code
        for domain in ("DM", "TU", "TR", "RS", "AE", "EX", "PR", "DS", "SS", "CM", "DD")
        for variable in sdtm.variables(domain)
        for code in variable.codelists
    }
    assert sorted(code for code in used if not codelists.known(code)) == []


def test_a_codelist_that_is_not_shipped_is_refused():
    assert not codelists.known("NOVEL")
    with pytest.raises(DeclarationError, match="NOVEL: no codelist"):
        codelists.codelist("NOVEL")
