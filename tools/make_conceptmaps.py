"""Make the ConceptMaps and ValueSets of the package.

    python tools/make_conceptmaps.py FOLDER

FOLDER holds ``mcode_stu4_valueset_codes.csv`` and ``mcode_tg263_to_snomed.csv`` (mCODE STU4,
CC0-1.0): a SNOMED CT body site becomes LOC and LAT where its name, without laterality and the
words "structure of", is a term or synonym of the codelist. Everything else is in the tables below.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path

import click

from fhir2cdisc.terminology import codelists
from fhir2cdisc.terminology.systems import (
    CDC_RACE,
    DICOM,
    GENDER,
    LOINC,
    NCIT,
    NULL_FLAVOR,
    SNOMED,
    UCUM,
)  # fmt: skip

OUT = Path(__file__).parent.parent / "src" / "fhir2cdisc" / "terminology"
KENYA = "https://nshr-uat.sha.go.ke/fhir/CodeSystem"
AE_OUTCOME = "http://terminology.hl7.org/CodeSystem/adverse-event-outcome"
AE_SERIOUS = "http://terminology.hl7.org/CodeSystem/adverse-event-seriousness"
AE_CAUSALITY = "http://terminology.hl7.org/CodeSystem/adverse-event-causality-assess"
AE_SEVERITY = "http://terminology.hl7.org/CodeSystem/adverse-event-severity"
MII_GRADE = "https://www.medizininformatik-initiative.de/fhir/ext/modul-onko/CodeSystem/mii-cs-onko-nebenwirkung-ctcae-grad"
BIRTHSEX = "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender"
OWN = "urn:fhir2cdisc:CodeSystem:lesion"

# Body sites by hand: SNOMED CT code -> (LOC, LAT). They win over what the names give.
SITES: dict[str, tuple[str, str]] = {
    "39607008": ("LUNG", ""),
    "44029006": ("LUNG", "LEFT"),
    "3341006": ("LUNG", "RIGHT"),
    "41224006": ("LUNG, LEFT LOWER LOBE", ""),
    "31094006": ("LUNG LOBE", ""),
    "10200004": ("LIVER", ""),
    "12738006": ("BRAIN", ""),
    "76752008": ("BREAST", ""),
    "80248007": ("BREAST", "LEFT"),
    "73056007": ("BREAST", "RIGHT"),
    "41216001": ("PROSTATE GLAND", ""),
    "78961009": ("SPLEEN", ""),
    "62683002": ("MEDIASTINAL LYMPH NODE", ""),
    "78904004": ("CHEST WALL", ""),
    "71252005": ("CERVIX UTERI", ""),
    "64033007": ("KIDNEY", ""),
    "181414000": ("KIDNEY", ""),
    "18639004": ("KIDNEY", "LEFT"),
    "9846003": ("KIDNEY", "RIGHT"),
    "64739004": ("SEMINAL VESICLE", ""),
    "23451007": ("ADRENAL GLAND", ""),
    "15776009": ("PANCREAS", ""),
    "35039007": ("UTERUS", ""),
    "272673000": ("BONE", ""),
    "39937001": ("SKIN", ""),
    "15497006": ("OVARY", ""),
    "87784001": ("SOFT TISSUE", ""),
    "18962004": ("INGUINAL LYMPH NODE", ""),
    "68171009": ("AXILLARY LYMPH NODE", ""),
    "81105003": ("CERVICAL LYMPH NODE", ""),
    "76838003": ("SUPRACLAVICULAR LYMPH NODE", ""),
    "245294005": ("PELVIC LYMPH NODE", ""),
    "59441001": ("LYMPH NODE", ""),
    "15425007": ("PERITONEUM", ""),
    "3120008": ("PLEURA", ""),
}

LATERALITY = {"7771000": "LEFT", "24028007": "RIGHT", "51440002": "BILATERAL",
              "419161000": "LEFT", "419465000": "RIGHT"}  # fmt: skip

# Codelist -> system -> code -> term.
MAPS: dict[str, dict[str, dict[str, str]]] = {
    "SEX": {
        GENDER: {"male": "M", "female": "F", "other": "U", "unknown": "U"},
        "": {
            "M": "M",
            "F": "F",
            "UNK": "U",
            "OTH": "U",
            "ASKU": "U",
            "MALE": "M",
            "FEMALE": "F",
            "OTHER": "U",
            "UNKNOWN": "U",
        },
    },
    "RACE": {
        CDC_RACE: {
            "1002-5": "AMERICAN INDIAN OR ALASKA NATIVE",
            "2028-9": "ASIAN",
            "2054-5": "BLACK OR AFRICAN AMERICAN",
            "2076-8": "NATIVE HAWAIIAN OR OTHER PACIFIC ISLANDER",
            "2106-3": "WHITE",
            "2131-1": "OTHER",
        },
        NULL_FLAVOR: {"UNK": "UNKNOWN", "ASKU": "NOT REPORTED"},
    },
    "ETHNIC": {
        CDC_RACE: {"2135-2": "HISPANIC OR LATINO", "2186-5": "NOT HISPANIC OR LATINO"},
        NULL_FLAVOR: {"UNK": "UNKNOWN", "ASKU": "NOT REPORTED"},
    },
    "METHOD": {
        SNOMED: {
            "77477000": "CT SCAN",
            "113091000": "MRI",
            "82918005": "PET SCAN",
            "16310003": "ULTRASOUND",
            "363680008": "X-RAY",
            "450436003": "PET/CT SCAN",
            "5880005": "PHYSICAL EXAMINATION",
            "72098002": "PHOTOGRAPHY",
        }
    },
    "TUIDRS": {
        DICOM: {"112074": "TARGET", "112075": "NON-TARGET"},
    },
    "TRPROPRS": {SNOMED: {"52101004": "PRESENT", "2667000": "ABSENT"}},
    "ONCRSR": {
        LOINC: {"LA28366-5": "CR", "LA28369-9": "PR", "LA28371-5": "SD", "LA28370-7": "PD"},
        DICOM: {
            "112041": "CR",
            "112042": "PR",
            "112043": "PD",
            "112044": "SD",
            "112045": "CR",
            "112046": "NON-CR/NON-PD",
            "112047": "PD",
        },
        "RECIST": {"CR": "CR", "PR": "PR", "SD": "SD", "PD": "PD", "NE": "NE"},
        f"{KENYA}/recist-response-cs": {
            "COMPLETE-RESPONSE": "CR",
            "PARTIAL-RESPONSE": "PR",
            "STABLE-DISEASE": "SD",
            "PROGRESSIVE-DISEASE": "PD",
            "NOT-EVALUABLE": "NE",
        },
        "http://radlex.org": {
            "RID11511": "CR",
            "RID11513": "PR",
            "RID11514": "SD",
            "RID11515": "PD",
        },
        "": {
            "COMPLETE RESPONSE": "CR",
            "PARTIAL RESPONSE": "PR",
            "STABLE DISEASE": "SD",
            "PROGRESSIVE DISEASE": "PD",
            "NOT EVALUABLE": "NE",
        },
    },
    # Which test a response Observation is: by its code (RSTESTCD), or by a value that says it.
    "RSTESTCD": {
        LOINC: {"21976-6": "OVRLRESP", "88040-1": "OVRLRESP", "97509-4": "OVRLRESP"},
        DICOM: {
            "112048": "OVRLRESP",
            "112049": "BESTRESP",
            "112041": "TRGRESP",
            "112042": "TRGRESP",
            "112043": "TRGRESP",
            "112044": "TRGRESP",
            "112045": "NTRGRESP",
            "112046": "NTRGRESP",
            "112047": "NTRGRESP",
        },
        NCIT: {
            "C96613": "OVRLRESP",
            "C94534": "TRGRESP",
            "C94535": "NTRGRESP",
            "C94536": "BESTRESP",
            "C103420": "NEWLPROG",
            "C142362": "NEWLIND",
        },
    },
    "TRTESTCD": {
        LOINC: {"33728-7": "LDIAM"},
        SNOMED: {
            "103340004": "LPERP",
            "103339001": "LDIAM",
            "439984002": "DIAMETER",
            "118565006": "VOLUME",
        },
        NCIT: {
            "C96684": "LDIAM",
            "C96685": "LPERP",
            "C25285": "DIAMETER",
            "C96643": "TUMSTATE",
            "C124448": "LNSTATE",
            "C74720": "VOLUME",
        },
        DICOM: {"121206": "DIAMETER"},
    },
    "ROUTE": {
        SNOMED: {
            "47625008": "INTRAVENOUS",
            "26643006": "ORAL",
            "34206005": "SUBCUTANEOUS",
            "78421000": "INTRAMUSCULAR",
            "6064005": "TOPICAL",
            "418114005": "INTRAVENOUS",
        }
    },
    "UNIT": {
        UCUM: {
            "mm": "mm",
            "cm": "cm",
            "mg": "mg",
            "g": "g",
            "ug": "ug",
            "mL": "mL",
            "ml": "mL",
            "Gy": "Gy",
            "cGy": "cGy",
            "cm3": "mL",
            "mg/kg": "mg/kg",
            "mg/m2": "mg/m2",
            "[IU]": "IU",
            "U": "U",
            "%": "%",
            "{tbl}": "TABLET",
            "1": "",
        }
    },
    "PROCEDUR": {
        SNOMED: {
            "441799006": "INTENSITY-MODULATED RADIATION THERAPY",
            "1162782007": "3D CONFORMAL RADIATION THERAPY",
            "33195004": "EXTERNAL BEAM RADIATION THERAPY",
            "1156506007": "EXTERNAL BEAM RADIATION THERAPY",
            "45643008": "EXTERNAL BEAM RADIATION THERAPY",
            "10611004": "EXTERNAL BEAM RADIATION THERAPY",
            "1217123003": "RADIOTHERAPY",
            "108290001": "RADIOTHERAPY",
            "1287742003": "RADIOTHERAPY",
        }
    },
    "RTTYPE": {  # PRSCAT of a radiotherapy modality
        SNOMED: {
            "1156506007": "EXTERNAL BEAM",
            "45643008": "EXTERNAL BEAM",
            "10611004": "EXTERNAL BEAM",
            "33195004": "EXTERNAL BEAM",
            "1156507003": "EXTERNAL BEAM",
            "152198000": "INTERNAL",
            "384692006": "INTERNAL",
            "384691004": "INTERNAL",
            "394902000": "INTERNAL",
            "440252007": "INTERNAL",
        }
    },
    "TRTINTNT": {
        SNOMED: {
            "373808002": "CURATIVE",
            "363676003": "PALLIATIVE",
            "373847000": "NEOADJUVANT",
            "373846009": "ADJUVANT",
        }
    },
    "OUT": {
        AE_OUTCOME: {
            "resolved": "RECOVERED/RESOLVED",
            "recovering": "RECOVERING/RESOLVING",
            "ongoing": "NOT RECOVERED/NOT RESOLVED",
            "fatal": "FATAL",
            "unknown": "UNKNOWN",
            "resolvedWithSequelae": "RECOVERED/RESOLVED WITH SEQUELAE",
        }
    },
    "AESEV": {
        AE_SEVERITY: {"mild": "MILD", "moderate": "MODERATE", "severe": "SEVERE"},
    },
    "AETOXGR": {  # CTCAE grade; 0 and K mean that the event is not there
        NCIT: {"C41338": "1", "C41339": "2", "C41340": "3", "C41337": "4", "C48275": "5"},
        MII_GRADE: {"K": "0", "1": "1", "2": "2", "3": "3", "4": "4", "5": "5"},
        "": {str(grade): str(grade) for grade in range(6)},
        "http://hl7.org/fhir/us/ctcae/CodeSystem/ctcae-grade-code-system": {
            str(grade): str(grade) for grade in range(6)
        },
    },
    "AEREL": {
        NCIT: {
            "C53256": "NOT RELATED",
            "C53257": "UNLIKELY RELATED",
            "C53258": "POSSIBLY RELATED",
            "C53259": "PROBABLY RELATED",
            "C53260": "RELATED",
        },
        AE_CAUSALITY: {
            "Certain": "RELATED",
            "Probably-Likely": "PROBABLY RELATED",
            "Possible": "POSSIBLY RELATED",
            "Unlikely": "UNLIKELY RELATED",
            "certain": "RELATED",
            "probably-likely": "PROBABLY RELATED",
            "possible": "POSSIBLY RELATED",
            "unlikely": "UNLIKELY RELATED",
        },
        "": {
            t: t
            for t in (
                "RELATED",
                "NOT RELATED",
                "POSSIBLY RELATED",
                "UNLIKELY RELATED",
                "PROBABLY RELATED",
            )
        }
        | {
            "UNRELATED": "NOT RELATED",
            "POSSIBLE": "POSSIBLY RELATED",
            "PROBABLE": "PROBABLY RELATED",
            "UNLIKELY": "UNLIKELY RELATED",
            "DEFINITE": "RELATED",
            "PROBABLY-LIKELY": "PROBABLY RELATED",
            "CERTAIN": "RELATED",
        },
    },
    "AESER": {
        AE_SERIOUS: {
            "Non-serious": "N",
            "non-serious": "N",
            "Serious": "Y",
            "serious": "Y",
            "SeriousResultsInDeath": "Y",
            "SeriousIsLifeThreatening": "Y",
            "SeriousResultsInHospitalization": "Y",
            "SeriousResultsInDisability": "Y",
            "SeriousIsBirthDefect": "Y",
            "SeriousRequiresPreventImpairment": "Y",
        }
    },
    "SURVSTAT": {
        SNOMED: {"438949009": "ALIVE", "419099009": "DEAD", "399307001": "UNKNOWN"},
        NCIT: {"C37987": "ALIVE", "C28554": "DEAD", "C17998": "UNKNOWN"},
        "": {"ALIVE": "ALIVE", "DEAD": "DEAD", "UNKNOWN": "UNKNOWN"},
    },
    "COUNTRY": {
        "": {
            "AE": "ARE",
            "AR": "ARG",
            "AT": "AUT",
            "AU": "AUS",
            "BE": "BEL",
            "BG": "BGR",
            "BR": "BRA",
            "CA": "CAN",
            "CH": "CHE",
            "CL": "CHL",
            "CN": "CHN",
            "CO": "COL",
            "CZ": "CZE",
            "DE": "DEU",
            "DK": "DNK",
            "EE": "EST",
            "EG": "EGY",
            "ES": "ESP",
            "FI": "FIN",
            "FR": "FRA",
            "GB": "GBR",
            "GR": "GRC",
            "HK": "HKG",
            "HR": "HRV",
            "HU": "HUN",
            "IE": "IRL",
            "IL": "ISR",
            "IN": "IND",
            "IT": "ITA",
            "JP": "JPN",
            "KE": "KEN",
            "KR": "KOR",
            "LT": "LTU",
            "LV": "LVA",
            "MX": "MEX",
            "MY": "MYS",
            "NL": "NLD",
            "NO": "NOR",
            "NZ": "NZL",
            "PE": "PER",
            "PL": "POL",
            "PT": "PRT",
            "RO": "ROU",
            "RS": "SRB",
            "RU": "RUS",
            "SA": "SAU",
            "SE": "SWE",
            "SG": "SGP",
            "SI": "SVN",
            "SK": "SVK",
            "TH": "THA",
            "TR": "TUR",
            "TW": "TWN",
            "UA": "UKR",
            "US": "USA",
            "VN": "VNM",
            "ZA": "ZAF",
        }
    },
    "NCOMPLT": {
        SNOMED: {
            "419620001": "DEATH",
            "399307001": "LOST TO FOLLOW-UP",
            "105480006": "WITHDRAWAL BY SUBJECT",
            "407563006": "ADVERSE EVENT",
            "266721009": "LACK OF EFFICACY",
            "77386006": "PREGNANCY",
            "182992009": "COMPLETED",
            "443729008": "COMPLETED",
        }
    },
}

# Value set -> system -> codes.
SETS: dict[str, dict[str, list[str]]] = {
    "tumor-identification": {NCIT: ["C94523"]},
    "lesion-role": {
        NCIT: ["C94520", "C94521", "C94522", "C139126", "C139127"],
        DICOM: ["112074", "112075"],
    },
    "tumor-size": {LOINC: ["21889-1"]},
    "lesion-diameter": {
        SNOMED: ["439984002", "103339001", "103340004"],
        NCIT: ["C25285", "C96684", "C96685"],
        DICOM: ["121206"],
    },
    "lesion-volume": {NCIT: ["C74720"], SNOMED: ["118565006"]},
    "lesion-state": {NCIT: ["C96643", "C124448"]},
    "response": {
        LOINC: ["21976-6", "88040-1"],
        NCIT: ["C96613", "C94534", "C94535", "C94536", "C103420", "C142362"],
        DICOM: ["112048", "112049"],
    },
    "response-result": {
        LOINC: ["LA28366-5", "LA28369-9", "LA28371-5", "LA28370-7"],
        DICOM: ["112041", "112042", "112043", "112044", "112045", "112046", "112047"],
        "RECIST": ["CR", "PR", "SD", "PD", "NE"],
        f"{KENYA}/recist-response-cs": [
            "COMPLETE-RESPONSE",
            "PARTIAL-RESPONSE",
            "STABLE-DISEASE",
            "PROGRESSIVE-DISEASE",
            "NOT-EVALUABLE",
        ],
        "http://radlex.org": ["RID11511", "RID11513", "RID11514", "RID11515"],
    },
    "disease-trend": {LOINC: ["97509-4"], SNOMED: ["396432002"]},
    "gross-pathology": {SNOMED: ["787377000"]},
    "vital-status": {LOINC: ["67162-8"]},
    "radiotherapy-course": {SNOMED: ["1217123003"]},
    "radiotherapy-part": {SNOMED: ["1222565005", "1255724003", "1297069006"]},
}


def _write(file: Path, content: Mapping[str, object]) -> None:
    file.parent.mkdir(exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    # One element a line: a change of one code is a change of one line.
    text = re.sub(
        r"\{\s+\"code\": (\"[^\"]*\"),\s+\"target\": \[\s+\{\s+\"code\": (\"[^\"]*\"),\s+"
        r"\"equivalence\": (\"[^\"]*\")\s+\}\s+\]\s+\}",
        r'{"code": \1, "target": [{"code": \2, "equivalence": \3}]}',
        text,
    )
    text = re.sub(r"\{\s+\"code\": (\"[^\"]*\")\s+\}", r'{"code": \1}', text)
    file.write_text(text + "\n", encoding="utf-8")


def _conceptmap(name: str, groups: dict[str, dict[str, str]]) -> dict[str, object]:
    target = codelists.codelist(name).code if codelists.known(name) else ""
    return {
        "resourceType": "ConceptMap",
        "id": name.lower(),
        "name": f"FHIR to CDISC {name}",
        "status": "active",
        "description": "Target terms: CDISC Controlled Terminology (NCI EVS)."
        if target
        else "Target terms: of this project; CDISC has no codelist for them.",
        "group": [
            {
                "source": system,
                **(
                    {"target": f"http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl|{target}"}
                    if target
                    else {}
                ),
                "element": [
                    {"code": code, "target": [{"code": term, "equivalence": "equivalent"}]}
                    for code, term in sorted(codes.items())
                ],
            }
            for system, codes in sorted(groups.items())
        ],
    }


def _sites(folder: Path) -> dict[str, tuple[str, str]]:
    """SNOMED CT body sites whose name is a term or a synonym of LOC."""
    terms: dict[str, str] = {}
    for value, term in codelists.codelist("LOC").terms.items():
        terms.setdefault(value.upper(), value)
        for synonym in term.synonyms:
            terms.setdefault(synonym.upper(), value)
    names: dict[str, str] = {}
    with (folder / "mcode_stu4_valueset_codes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if "location-vs" in row["valueset"] and row["system"] == SNOMED:
                names[row["code_or_filter"]] = row["display"]
    with (folder / "mcode_tg263_to_snomed.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["equivalence"] == "equivalent" and row["target_code"].isdigit():
                names.setdefault(row["target_code"], row["target_display"])
    found: dict[str, tuple[str, str]] = {}
    for code, display in names.items():
        name = re.sub(r"\(.*?\)", "", display).upper()
        sides = [side for side in ("LEFT", "RIGHT") if re.search(rf"\b{side}\b", name)]
        bare = re.sub(r"\b(LEFT|RIGHT|ENTIRE|STRUCTURES?|OF|THE)\b", " ", name)
        bare = " ".join(bare.split())
        variants = [" ".join(name.split()), bare, bare.removesuffix("S")]
        for variant in variants:
            if variant in terms and len(sides) < 2:
                found[code] = (terms[variant], sides[0] if sides else "")
                break
    return found | SITES


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
def main(folder: Path) -> None:
    sites = _sites(folder)
    loc = codelists.codelist("LOC").terms
    wrong = sorted({f"{code} {term}" for code, (term, _) in sites.items() if term not in loc})
    if wrong:
        raise click.ClickException("not in LOC: " + ", ".join(wrong))
    maps = dict(MAPS)
    maps["LOC"] = {SNOMED: {code: term for code, (term, _) in sites.items()}}
    maps["LAT"] = {SNOMED: LATERALITY | {code: side for code, (_, side) in sites.items() if side}}
    for name, groups in maps.items():
        if codelists.known(name):
            terms = codelists.codelist(name).terms
            bad = sorted(
                {t for codes in groups.values() for t in codes.values() if t and t not in terms}
            )
            if bad:
                raise click.ClickException(f"not in {name}: {', '.join(bad)}")
        _write(OUT / "conceptmaps" / f"{name.lower()}.json", _conceptmap(name, groups))
    for name, systems in SETS.items():
        content = {
            "resourceType": "ValueSet",
            "id": name,
            "status": "active",
            "compose": {
                "include": [
                    {"system": system, "concept": [{"code": code} for code in codes]}
                    for system, codes in systems.items()
                ]
            },
        }
        _write(OUT / "valuesets" / f"{name}.json", content)
    click.echo(f"{len(maps)} ConceptMaps ({len(sites)} body sites), {len(SETS)} ValueSets")


if __name__ == "__main__":
    main()
