"""What each rate of response and of lesion control is: parameter, records, and the sentence.

The settings of a study choose which definition is the primary one; the others stand beside it, so
that nobody has to ask what another reading of the protocol would have given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from fhir2cdisc.results.analysis import Analysis

RESPONDERS = ("CR", "PR")
LESIONS = {"PARAMCD": "LSCTRL", "LESGRP": "NONIRRAD", "LESTYP": "TARGET"}

# nrcr_rule -> PARAMCD of lesion control by that rule.
CONTROL = {"best": "LSCTRLB", "sustained": "LSCTRLS", "last": "LSCTRLL", "landmark": "LSCTRLM"}
# Lesion group -> ending of PARAMCD, and in words.
_ENDINGS = {"ALL": "", "NONIRRAD": "NI", "IRRAD": "IR"}
_TARGETS = {"NONIRRAD": "non-irradiated targets", "IRRAD": "irradiated targets"}


class Rate(NamedTuple):
    """A share of subjects: of all of the analysis set, or of those with targets of a `group`.

    The numerator are records of `paramcd` with one of the `values`; `which` ends the sentence
    "Share of subjects ...".
    """

    id: str
    label: str
    paramcd: str
    values: tuple[str, ...]
    which: str
    group: str = ""


class LesionRate(NamedTuple):
    """A share of target lesions: those of `where` with one of the `values`.

    `other_rule` marks what another rule than the one in force says.
    """

    id: str
    label: str
    where: Mapping[str, str]
    values: tuple[str, ...]
    which: str
    other_rule: bool = False


def response_rates(analysis: Analysis) -> Iterator[Rate]:
    """ORR by the lesion group and measure of the study, then all readings of the protocol."""
    r = analysis.study.response
    again = (
        f"confirmed by a second response at least {r.confirm_days} days later with at most "
        f"{r.max_ne_between} assessment(s) not evaluable between"
    )
    recist = (
        f"with complete or partial response by {r.derived_by}: sum of target diameters at least "
        f"{r.pr_pct:g} % below baseline"
    )
    literal, as_recist = (
        f"with complete response, or sum of target volumes at least {percent:g} % below baseline "
        f"({wording}), {again}{_spheres(analysis)}"
        for percent, wording in (
            (r.vol_pr_pct, "the wording of the registry taken literally"),
            (r.vol_pr_pct_recist, "what RECIST asks of the diameter"),
        )
    )
    diameter, name = f"{recist}, {again}", "Objective response rate"
    volume = r.measure == "volume"
    by = f"{r.vol_pr_pct:g} % volume" if volume else r.derived_by
    group = "" if r.irr_policy == "ALL" else r.irr_policy
    of = f" of {_TARGETS[group]}" if group else ""
    primary = f"CBOR{'V' if volume else ''}{_ENDINGS[r.irr_policy]}"
    yield Rate("ORR", f"{name}, {by}{of}, confirmed", primary, RESPONDERS,
               literal if volume else diameter, group)  # fmt: skip
    if primary != "CBOR":
        yield Rate("ORR-RECIST", f"{name}, {r.derived_by}, confirmed", "CBOR", RESPONDERS, diameter)
    for id_, label, paramcd, which in (
        ("ORR-VOLUME", f"{r.vol_pr_pct:g} % volume, confirmed", "CBORV", literal),
        ("ORR-VOLUME-RECIST", f"{r.vol_pr_pct_recist:g} % volume, confirmed", "CBORV2", as_recist),
        ("ORR-UNCONFIRMED", f"{r.derived_by}, unconfirmed", "BOR", f"{recist}, not confirmed"),
    ):
        yield Rate(id_, f"{name}, {label}", paramcd, RESPONDERS, which)
    for part, targets in _TARGETS.items():
        label = f"{name}, {r.derived_by} of {targets}, confirmed"
        yield Rate(f"ORR-{part}", label, f"CBOR{_ENDINGS[part]}", RESPONDERS, diameter, part)


def irecist_rate() -> Rate:
    """The response rate by iRECIST."""
    return Rate(
        "IORR", "Objective response rate, iRECIST, unconfirmed", "IBOR", ("iCR", "iPR"),
        "with complete or partial response by iRECIST up to a confirmed progression, not confirmed "
        "(exploratory)",
    )  # fmt: skip


def _spheres(analysis: Analysis) -> str:
    """What to know of volumes that come from one diameter."""
    found = analysis.records("ADTR", analysis.population, PARAMCD="SVOL")
    if found is None or found["VOLNOTE"].isna().all():
        return ""
    some, every = (f["USUBJID"].nunique() for f in (found[found["VOLNOTE"].notna()], found))
    return (
        f" (volume from one diameter, not independent of the diameter, in {some} of {every} "
        "subjects with volumes)"
    )


def abscopal_rates(analysis: Analysis) -> Iterator[Rate]:
    """What the non-irradiated targets of a subject did; ARR and ACR both ways."""
    r = analysis.study.response
    ways = [
        ("", "TARGETS", "new and non-target lesions do not count"),
        ("NL", "NEW-LESION", "a new lesion or non-target progression is progression"),
    ]
    first, second = ways[::-1] if r.acr_new_lesion_fails else ways
    for id_ending, label_ending, (ending, _, rule) in (
        ("", "", first), (f"-{second[1]}", f" ({second[2]})", second),
    ):  # fmt: skip
        for code, name, meaning in (
            ("ARR", "Abscopal response rate", "CR or PR"),
            ("ACR", "Abscopal control rate", "CR, PR or SD"),
        ):
            which = f"with a best response of the non-irradiated targets of {meaning} ({rule})"
            yield Rate(
                code + id_ending, name + label_ending, code + ending, ("Y",), which, "NONIRRAD"
            )
    yield Rate(
        "ABSANY", "Any non-irradiated lesion decreased", "ABSANY", ("Y",),
        f"with a non-irradiated target at least {r.pr_pct:g} % smaller", "NONIRRAD",
    )  # fmt: skip
    rule = controlled(analysis, analysis.study.endpoints.nrcr_rule)
    yield Rate(
        "NRCPT", "All non-irradiated lesions controlled", "NRCPT", ("Y",),
        f"whose non-irradiated targets are all controlled ({rule})", "NONIRRAD",
    )  # fmt: skip


def other_lesion_rates(analysis: Analysis) -> Iterator[LesionRate]:
    """NRCR by the rules that are not in force, and the response of non-irradiated lesions."""
    in_force, months = analysis.study.endpoints.nrcr_rule, analysis.study.endpoints.months
    for rule, code in CONTROL.items():
        if rule != in_force:
            yield LesionRate(
                f"NRCR-{rule.upper()}", f"Non-irradiated lesion control rate, rule: {rule}",
                {**LESIONS, "PARAMCD": code}, ("Y",),
                f"non-irradiated target lesions that are controlled; {controlled(analysis, rule)}",
                other_rule=True,
            )  # fmt: skip
    yield LesionRate(
        "NILORR", "Non-irradiated lesion response rate",
        {**LESIONS, "PARAMCD": "LSBRSP"}, RESPONDERS,
        "non-irradiated target lesions with a best response of CR or PR within "
        f"{months} months of the start",
    )  # fmt: skip


def controlled(analysis: Analysis, rule: str) -> str:
    """A rule of lesion control in words."""
    study = analysis.study
    months, days = study.endpoints.months, study.endpoints.cut_window_days
    best = f"best response of the lesion CR, PR or SD (SD from day {study.response.sd_min_days})"
    meaning = {
        "best": best,
        "sustained": f"{best} and no progression of the lesion",
        "last": "last response of the lesion CR, PR or SD",
        "landmark": f"response of the lesion CR, PR or SD at month {months}",
    }[rule]
    window = f" and {days} days" if days else ""
    return f"controlled is: {meaning}, within {months} months{window} of the start (rule: {rule})"
