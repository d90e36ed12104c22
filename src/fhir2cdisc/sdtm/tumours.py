"""What SDTM says of tumours: units of a diameter, lymph nodes, organs."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

IN_MM = {"CM": 10.0, "M": 1000.0}
"""Unit in capitals -> millimetres; what is not here is in millimetres."""

LYMPH_NODE = "LYMPH NODE"

_SIDES = re.compile(r"\b(?:LEFT|RIGHT|BILATERAL)\b")
# Terms of the codelist LOC that name a part of an organ, or an organ of many parts.
_BONES = (
    r"\bBONE\b(?! MARROW)|VERTEBRA|\bRIB\b|SPINE|SKELETON|SKULL|\bHUMERUS\b|\bPUBIC\b"
    r"|^(?:SACRUM|STERNUM|SCAPULA|CLAVICLE|ILIUM|ISCHIUM|COCCYX|MANDIBLE|MAXILLA|FEMUR|TIBIA"
    r"|FIBULA|RADIUS|ULNA|ILIAC CREST)\b|^FEMORAL (?:HEAD|NECK)"
)
_BRAIN = (
    r"BRAIN|CEREBR|CEREBELL|(?:FRONTAL|PARIETAL|TEMPORAL|OCCIPITAL) (?:LOBE|CORTEX)"
    r"|THALAMUS|HIPPOCAMPUS|BASAL GANGLIA|^PONS"
)
_WHOLE = (
    "LUNG", "LIVER", "KIDNEY", "ADRENAL GLAND", "PANCREAS", "SPLEEN", "STOMACH", "COLON", "BREAST",
    "PROSTATE GLAND", "THYROID GLAND", "PLEURA", "PERITONEUM",
)  # fmt: skip
_ORGANS = {
    LYMPH_NODE: re.compile(LYMPH_NODE),
    "SKIN": re.compile(r"\bSKIN\b|^SCALP|^SUBCUTIS"),
    "BONE": re.compile(_BONES),
    "BRAIN": re.compile(_BRAIN),
    **{name: re.compile(rf"\b{name}\b") for name in _WHOLE},
}


def is_lymph_node(location: pd.Series) -> pd.Series:
    """True where --LOC names a lymph node."""
    return location.str.upper().str.contains(LYMPH_NODE, regex=False).eq(other=True)


def organ(location: pd.Series) -> pd.Series:
    """The organ of each --LOC; missing where there is none.

    Both sides of a paired organ are one organ, all lymph nodes are one, all bones, the skin; so
    are the parts of an organ. Of other terms it is what stands before the comma.

    References:
        RECIST 1.1 (Eisenhauer 2009), section 4.2; EORTC RECIST questions and answers.
    """
    codes, distinct = pd.factorize(location)
    organs = pd.Series([_organ(str(term)) for term in distinct], dtype="str")
    found = organs.reindex(np.where(codes < 0, len(organs), codes))
    return found.set_axis(location.index)


def _organ(term: str) -> str:
    name = term.upper().strip()
    for organ_, pattern in _ORGANS.items():
        if pattern.search(name):
            return organ_
    return " ".join(_SIDES.sub(" ", name.partition(",")[0]).split()) or name
