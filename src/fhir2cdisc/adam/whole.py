"""What is a matter of the whole study and not of a subject, however many are derived at once."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fhir2cdisc.adam import radiotherapy, verbs
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study

LESION_TESTS = ("LDIAM", "LPERP", "DIAMETER", "VOLUME", "TUMSTATE", "LNSTATE")
"""TRTESTCD of what is measured or stated of a single lesion."""
ENDS = ("STUDY PARTICIPATION", "STUDY TREATMENT")
"""DSSCAT of disposition events."""


def whole_study(data: Mapping[str, pd.DataFrame], study: Study) -> dict[str, pd.DataFrame]:
    """The facts by the name they have among the datasets: one row, a column for each.

    ``measured``: the study's evaluator assessed lesions; ``read``: a reader gave overall responses;
    ``protocol``: how protocol radiotherapy is told (`radiotherapy.protocol_rule`); and whether
    the end of each of `ENDS` is told of any subject.
    """
    tr, rs, ds = (verbs.frame_of(data, name) for name in ("TR", "RS", "DS"))
    evaluator = verbs.text(tr, "TREVAL").str.upper()
    own = evaluator.isna() | (evaluator == study.response.evaluator.upper())
    ended = verbs.text(ds, "DSCAT").str.upper().eq("DISPOSITION EVENT")
    scopes = verbs.text(ds, "DSSCAT").str.upper().fillna(ENDS[0])
    facts = {
        "measured": bool((verbs.text(tr, "TRTESTCD").isin(LESION_TESTS) & own).any()),
        "read": bool(verbs.text(rs, "RSTESTCD").eq("OVRLRESP").any()),
        "protocol": radiotherapy.protocol_rule(data),
        **{scope: bool((ended & scopes.eq(scope)).any()) for scope in ENDS},
    }
    return {verbs.WHOLE: pd.DataFrame([facts])}


def report_evaluators(data: Mapping[str, pd.DataFrame], study: Study, issues: Issues) -> None:
    """An issue for TR and RS where every record is of another evaluator than the study's."""
    for domain in ("TR", "RS"):
        evaluator = verbs.text(verbs.frame_of(data, domain), f"{domain}EVAL").str.upper()
        others = evaluator.ne(study.response.evaluator.upper()) & evaluator.notna()
        if len(others) and others.all():
            found = ", ".join(sorted(evaluator.unique()))
            text = f"{domain}: all records are of {found}, none of {study.response.evaluator}"
            issues.add("RS0024", text, count=len(others))


def is_so(data: Mapping[str, pd.DataFrame], study: Study, fact: str) -> bool:
    """One of the facts; without them `data` is the whole study."""
    facts = data if verbs.WHOLE in data else whole_study(data, study)
    return bool(facts[verbs.WHOLE][fact].iloc[0])


def is_measured(data: Mapping[str, pd.DataFrame], study: Study) -> bool:
    """Whether responses are derived from lesions: if they are measured, or nothing was read."""
    return is_so(data, study, "measured") or not is_so(data, study, "read")
