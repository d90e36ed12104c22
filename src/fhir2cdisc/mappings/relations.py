"""RELREC — which datasets and records relate.

References:
    SDTMIG v3.4, section 8.3; TU and TR examples.
"""

from __future__ import annotations

from fhir2cdisc.sdtm.relrec import RecordRelation, Relation

RELATIONS = (
    Relation("TU", "TULNKID", "ONE", "TR", "TRLNKID", "MANY"),
    Relation("TR", "TRLNKGRP", "MANY", "RS", "RSLNKGRP", "MANY"),
    Relation("PR", "PRLNKID", "ONE", "EX", "EXLNKID", "ONE"),
)

# A site of radiotherapy and the lesions it treats, record by record; protocol radiotherapy may be
# in EX alone ([radiotherapy] domain).
TREATS = RecordRelation((("PR", "PRLNKID"), ("EX", "EXLNKID")), "TU", "TULNKID")
