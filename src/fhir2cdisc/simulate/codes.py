"""What the synthetic trial draws from: organs, drugs, events, people, and their codes.

Every code is a published one (SNOMED CT, LOINC, NCI Thesaurus, DICOM, RxNorm); the people
are invented, and their names are odd on purpose: a test can look for them in any output.
"""

from __future__ import annotations

from typing import NamedTuple

NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
SCT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DICOM_UID = "urn:dicom:uid"
LESION = "urn:fhir2cdisc:CodeSystem:lesion"

MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
BACKPORT = "http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition/"
CODEX = "http://hl7.org/fhir/us/codex-radiation-therapy/StructureDefinition/codexrt-"
RESEARCH_STUDY = "http://hl7.org/fhir/StructureDefinition/workflow-researchStudy"
TARGET_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/procedure-targetBodyStructure"
OWN = "urn:fhir2cdisc:StructureDefinition:"
HL7 = "http://terminology.hl7.org/CodeSystem/"

STUDY_ID = "RTPD1-001"
STUDY_REF = "ResearchStudy/rtpd1-001"
STUDY_TITLE = (
    "Local Radiotherapy in Combination With Immunotherapy in Advanced Solid Tumors Patients"
)
ARM = "Local RT + PD-1"

# People. None of these strings is a word of any standard, so a leak is easy to find.
FAMILY_NAMES = (
    "Quillfeather",
    "Ostermock",
    "Brambleworth",
    "Zwiebelstein",
    "Testinghurst",
    "Fictionova",
    "Wannamakker",
    "Inventarsson",
)
GIVEN_NAMES = {
    "female": ("Clotildina", "Perpetuana", "Wilhelmette", "Euphrasine"),
    "male": ("Barnabus-Odd", "Thelonius", "Crispianus", "Zebedeo"),
}
MRN_PREFIX = "MRN-77"

SITE_COUNTRY = {"01": "USA", "02": "GBR", "03": "CHN", "04": "DEU"}
SITE_ZONE = {"01": "-05:00", "02": "Z", "03": "+08:00", "04": "+01:00"}


class Organ(NamedTuple):
    """Where a lesion can be: SNOMED code, short name, counting group, and what it can be."""

    code: str
    name: str
    group: str  # at most two targets in one group; all nodes are one organ (RECIST 1.1)
    paired: bool
    node: bool
    mri: bool


ORGANS = (
    Organ("39607008", "Lung", "lung", paired=True, node=False, mri=False),
    Organ("10200004", "Liver", "liver", paired=False, node=False, mri=False),
    Organ("23451007", "Adrenal", "adrenal", paired=True, node=False, mri=False),
    Organ("64033007", "Kidney", "kidney", paired=True, node=False, mri=False),
    Organ("12738006", "Brain", "brain", paired=False, node=False, mri=True),
    Organ("87784001", "SoftTissue", "soft tissue", paired=False, node=False, mri=True),
    Organ("78961009", "Spleen", "spleen", paired=False, node=False, mri=False),
    Organ("15776009", "Pancreas", "pancreas", paired=False, node=False, mri=False),
    Organ("62683002", "LN_Mediastinal", "node", paired=False, node=True, mri=False),
    Organ("68171009", "LN_Axillary", "node", paired=True, node=True, mri=False),
    Organ("81105003", "LN_Neck", "node", paired=True, node=True, mri=False),
)
ORGAN_WEIGHTS = (0.26, 0.2, 0.08, 0.05, 0.04, 0.06, 0.03, 0.03, 0.12, 0.06, 0.07)
# Diffuse disease is followed as present or absent, so it is never a target.
DIFFUSE = (
    Organ("272673000", "Bone", "bone", paired=False, node=False, mri=False),
    Organ("15425007", "Peritoneum", "peritoneum", paired=False, node=False, mri=False),
    Organ("3120008", "Pleura", "pleura", paired=True, node=False, mri=False),
)
AT_RISK = (
    Organ("2748008", "SpinalCord", "", paired=False, node=False, mri=False),
    Organ("80891009", "Heart", "", paired=False, node=False, mri=False),
    Organ("32849002", "Esophagus", "", paired=False, node=False, mri=False),
    Organ("39607008", "Lung", "", paired=True, node=False, mri=False),
    Organ("10200004", "Liver", "", paired=False, node=False, mri=False),
)
LATERALITY = {"left": "7771000", "right": "24028007"}
CT, MRI = "77477000", "113091000"

CANCERS = ("254637007", "372244006", "25370001", "702391001", "716659002")

RACES = {  # OMB category code and text, by country of the site
    "USA": (("2106-3", "White"), ("2054-5", "Black or African American"), ("2028-9", "Asian")),
    "GBR": (("2106-3", "White"), ("2028-9", "Asian")),
    "CHN": (("2028-9", "Asian"),),
    "DEU": (("2106-3", "White"),),
}

LATER_DRUGS = (
    ("72962", "Docetaxel"),
    ("40048", "Carboplatin"),
    ("12574", "Gemcitabine"),
    ("1597876", "Nivolumab"),
    ("68446", "Pemetrexed"),
)
OTHER_DRUGS = (
    ("161", "Paracetamol"),
    ("7646", "Omeprazole"),
    ("3264", "Dexamethasone"),
    ("26225", "Ondansetron"),
)

ILLNESSES = (
    ("38341003", "Hypertension"),
    ("44054006", "Type 2 diabetes mellitus"),
    ("13645005", "Chronic obstructive lung disease"),
    ("235595009", "Gastroesophageal reflux disease"),
    ("396275006", "Osteoarthritis"),
)

RESPONSE = {
    "CR": "C4870",
    "PR": "C18058",
    "SD": "C18213",
    "PD": "C35571",
    "NE": "C62222",
    "NON-CR/NON-PD": "C96700",
    "UNEQUIVOCAL": "C123645",
    "EQUIVOCAL": "C86071",
}
RESPONSE_TEST = {
    "OVRLRESP": "C96613",
    "TRGRESP": "C94534",
    "NTRGRESP": "C94535",
    "BESTRESP": "C94536",
    "NEWLPROG": "C103420",
}
LOINC_ANSWER = {"CR": "LA28366-5", "PR": "LA28369-9", "SD": "LA28371-5", "PD": "LA28370-7"}
TREND = {
    "CR": "268910001",
    "PR": "268910001",
    "SD": "359746009",
    "NON-CR/NON-PD": "359746009",
    "PD": "271299001",
    "NE": "709137006",
}
STATE = {
    "PRESENT": "C25626",
    "ABSENT": "C48190",
    "UNEQUIVOCAL": "C123645",
    "EQUIVOCAL": "C86071",
    "ENLARGEMENT FROM NADIR": "C156593",
    "PATHOLOGICAL": "C25610",
    "NON-PATHOLOGICAL": "C126054",
}
ROLE = {"TARGET": "C94520", "NON-TARGET": "C94521", "NEW": "C94522"}
ROLE_DICOM = {"TARGET": "112074", "NON-TARGET": "112075"}

GRADE = {1: "C41338", 2: "C41339", 3: "C41340", 4: "C41337", 5: "C48275"}
OUTCOME = {
    "resolved": "C49498",
    "sequelae": "C49495",
    "resolving": "C49496",
    "ongoing": "C49494",
    "fatal": "C48275",
}
RELATED = {
    "none": "C53256",
    "unlikely": "C53257",
    "possible": "C53258",
    "related": "C53260",
}
ACTION = {"none": "C49504", "interrupted": "C49501", "withdrawn": "C49502"}
SERIOUS = {"death": "C48275", "life-threatening": "C84266", "hospital": "C83052"}

OFF_STUDY = {
    "DEATH": "C28554",
    "PROGRESSIVE DISEASE": "C35571",
    "WITHDRAWAL BY SUBJECT": "C49634",
    "LOST TO FOLLOW-UP": "C48227",
    "COMPLETED": "C25250",
}

# Verbatim terms and which treatment causes them.
EVENTS = (
    ("Fatigue", "both"),
    ("fatigue, mild tiredness", "both"),
    ("Hypothyroidism", "drug"),
    ("Maculopapular rash", "drug"),
    ("Pruritus", "drug"),
    ("Diarrhea", "drug"),
    ("Immune-mediated hepatitis", "drug"),
    ("Pneumonitis", "both"),
    ("Radiation dermatitis", "radiation"),
    ("Esophagitis", "radiation"),
    ("Pain at irradiated site", "radiation"),
    ("Nausea", "both"),
    ("Anemia", "none"),
    ("Cough", "none"),
    ("Urinary tract infection", "none"),
    ("Back pain", "none"),
)
# Names of dictionary terms for those verbatim texts that are not one; codes are MedDRA's to give.
DICTIONARY = "https://www.meddra.org"
DICTIONARY_TERMS = {
    "fatigue, mild tiredness": "Fatigue",
    "Maculopapular rash": "Rash maculo-papular",
    "Diarrhea": "Diarrhoea",
    "Esophagitis": "Oesophagitis",
    "Pain at irradiated site": "Radiation associated pain",
    "Anemia": "Anaemia",
}
FATAL_EVENTS = (("Pneumonitis", "both"), ("Sepsis", "none"), ("Myocarditis", "drug"))

LABS = (  # LOINC, unit, mean, standard deviation, decimals
    ("718-7", "g/dL", 12.4, 1.3, 1),
    ("6690-2", "10*3/uL", 6.8, 1.9, 2),
    ("777-3", "10*3/uL", 238.0, 60.0, 0),
    ("1742-6", "U/L", 27.0, 9.0, 0),
    ("2160-0", "mg/dL", 0.91, 0.18, 2),
)
