"""The rule of every parameter of ADTR, ADLES, ADRS and ADEX in English, with settings in force.

The derivations are in the modules of the datasets; this is what they do, for `explain` and for the
methods of define.xml. ADTTE needs no entry: its parameters are declarations that describe
themselves (`tte.TimeToEvent`). No parameter is without a rule (tests/test_explain.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fhir2cdisc.protocol import sentence_of
from fhir2cdisc.study import Study

_FIELD = re.compile(r"\{(\w+\.\w+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """How a parameter is derived.

    `text` names settings as ``{section.key}``; those in `also` act without a place in the text:
    their sentences follow it. `cites` are the sources of the rule.
    """

    text: str
    cites: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def of(self, study: Study) -> str:
        """The rule with the settings of a study."""
        sections = {name: getattr(study, name) for name in type(study).model_fields}
        more = [sentence_of(study, name) for name in self.also]
        return " ".join([self.text.format(**sections), *more])

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings it depends on, each once."""
        return tuple(dict.fromkeys([*_FIELD.findall(self.text), *self.also]))


def _recist(sections: str) -> tuple[str, ...]:
    return (f"RECIST 1.1 (Eisenhauer 2009), {sections}",)


_REGISTRY = ("Registry record of the trial: changes of non-irradiated and irradiated lesions",)
_OF = {
    "": "all target lesions",
    "NI": "the target lesions that were not irradiated (SUPPTU.TUIRRAD is N)",
    "IR": "the target lesions that were irradiated (SUPPTU.TUIRRAD is Y)",
    "LD": "the target lesions that received a low dose (SUPPTU.TUIRRLVL is LOW-DOSE)",
}

# -- ADTR -------------------------------------------------------------------------------------


def _diameters(ending: str) -> Rule:
    return Rule(
        f"Sum over {_OF[ending]} of the longest diameter, of lymph nodes the short axis, at each "
        "assessment. Too small to measure is {response.tstm_mm:g} mm, disappeared 0; the parts of "
        "a split lesion are added, lesions that merged count once.",
        _recist("4.3.1 and 4.3.2"),
    )


def _volumes(ending: str) -> Rule:
    return Rule(
        f"Sum over {_OF[ending]} of the volume in mm3 at each assessment; a volume is of one kind "
        "throughout. From two diameters it is that of an ellipsoid, from one that of a sphere.",
        ("Registry record of the trial: tumor volume reduction",),
        ("response.vol_source", "response.vol_third_axis", "response.vol_tstm_mm3"),
    )


def _mean_changes(ending: str) -> Rule:
    return Rule(
        f"Mean over {_OF[ending]} of the percent change of their volumes (LSVOL in ADLES) since "
        f"the baseline of SVOL{ending}, at each assessment of all of them. The sum is that of the "
        "large lesions; here all count alike.",
        also=("response.vol_source", "response.vol_third_axis", "response.vol_tstm_mm3"),
    )


# -- ADLES ------------------------------------------------------------------------------------


def _control(which: str) -> Rule:
    return Rule(
        f"Y if {which}, else N, whatever the rule in force; the responses are those that LSBRSP "
        "looks at, SD from day {response.sd_min_days} after the start on.",
        _REGISTRY,
    )


_LESIONS = {
    "LSDIAM": Rule(
        "Longest diameter of the lesion, of a lymph node the short axis, at each assessment, in "
        "mm. Too small to measure is {response.tstm_mm:g} mm, disappeared 0.",
        _recist("4.3.1 and 4.3.2"),
    ),
    "LSVOL": Rule(
        "Volume of the lesion in mm3 at each assessment, of one kind throughout.",
        ("Registry record of the trial: tumor volume reduction",),
        ("response.vol_source", "response.vol_third_axis", "response.vol_tstm_mm3"),
    ),
    "LSRSP": Rule(
        "Response of the lesion alone at each assessment: CR if it is gone (a node below "
        "{response.node_normal_mm:g} mm); PD if it is at least {response.pd_pct:g} % and "
        "{response.pd_abs_mm:g} mm above its smallest diameter so far; PR if it is at least "
        "{response.pr_pct:g} % below baseline; else SD. Not measured, merged with another, or "
        "irradiated by protocol although it was to be spared: NE. "
        "New and non-target lesions have no say.",
        _recist("4.3.1, applied to single lesions"),
    ),
    "LSBRSP": Rule(
        "Best response of the lesion, in the order CR, PR, SD, PD, NE, over its LSRSP from the "
        "start to month {endpoints.months}, up to its first PD and not after a new anticancer "
        "therapy; SD from day {response.sd_min_days} after the start on, before that it is NE.",
        _REGISTRY,
        ("endpoints.cut_window_days",),
    ),
    "LSCTRL": Rule(
        "Y if the lesion is controlled, else N; a lesion that cannot be evaluated is not. The "
        "responses are those that LSBRSP looks at, within {endpoints.months} months.",
        _REGISTRY,
        ("endpoints.nrcr_rule",),
    ),
    "LSCTRLB": _control("its best response (LSBRSP) is CR, PR or SD"),
    "LSCTRLS": _control("its best response (LSBRSP) is CR, PR or SD and no LSRSP is PD"),
    "LSCTRLL": _control("its last LSRSP other than NE is CR, PR or SD"),
    "LSCTRLM": _control(
        "its last LSRSP other than NE within half an interval ({endpoints.visit_interval_days} "
        "days) of the last planned assessment is CR, PR or SD"
    ),
    "LTTP": Rule(
        "Days from the start (ADSL.STARTDT0) to the first LSRSP of PD, not after a new anticancer "
        "therapy and without limit in time. Without it: death competes; else the lesion is "
        "censored at its last LSRSP other than NE, before new therapy if there is one.",
    ),
    "LSPCHGB": Rule(
        "Smallest percent change from baseline of the diameter of the lesion (LSDIAM) from the "
        "start to month {endpoints.months}, up to its first PD.",
        ("Golden 2015, Lancet Oncol 16:795: response of single non-irradiated lesions",),
    ),
}

# -- ADRS: at assessments ---------------------------------------------------------------------

_TARGET = (
    "in this order: CR if all are gone and nodes are below {response.node_normal_mm:g} mm; PD if "
    "the sum is at least {response.pd_pct:g} % and {response.pd_abs_mm:g} mm above its smallest "
    "complete value so far; PR if it is at least {response.pr_pct:g} % below baseline; else SD. If "
    "a lesion is not measured: PD if the others prove it, else NE"
)


def _target_group(ending: str, sums: str) -> Rule:
    return Rule(
        f"Response at each assessment from the sum of diameters ({sums} in ADTR) of "
        f"{_OF[ending]}, {_TARGET}. New and non-target lesions have no say.",
        _recist("4.3.1, applied to a lesion group") + _REGISTRY,
        ("response.cr_reappear",),
    )


def _volume_group(ending: str) -> Rule:
    return Rule(
        f"Response at each assessment from the sum of volumes (SVOL{ending} in ADTR) of "
        f"{_OF[ending]}, as in OVRV. New and non-target lesions have no say.",
        ("Registry record of the trial: tumor volume reduction of 30 %, taken literally",),
        ("response.vol_pr_pct", "response.vol_pd_pct"),
    )


_AT_VISITS = {
    "OVR": Rule(
        "Overall response at each assessment from target response (TRG), non-target response "
        "(NTRG) and new lesions (NEWL): PD if any of them is progression, a new lesion only if it "
        "is unequivocal; CR if all that there is is CR; PR if the targets are CR but the "
        "non-target lesions are not; else the target response, without targets the non-target "
        "response.",
        _recist("Tables 1 and 2"),
        ("response.pr_carry_forward",),
    ),
    "OVRNI": _target_group("NI", "SDIAMNI"),
    "OVRIR": _target_group("IR", "SDIAMIR"),
    "OVRLD": _target_group("LD", "SDIAMLD"),
    "OVRNINL": Rule(
        "Response at each assessment as OVR, with the target response of the non-irradiated target "
        "lesions alone (SDIAMNI in ADTR): non-target and new lesions count.",
        _recist("Tables 1 and 2, applied to a lesion group") + _REGISTRY,
    ),
    "OVRV": Rule(
        "Overall response at each assessment as OVR, with the target response from the sum of "
        "volumes (SVOL in ADTR): PR at least {response.vol_pr_pct:g} % below baseline, PD at least "
        "{response.vol_pd_pct:g} % above the smallest complete value so far.",
        ("Registry record of the trial: tumor volume reduction of 30 %, taken literally",),
        ("response.vol_pd_abs_mm3",),
    ),
    "OVRV2": Rule(
        "As OVRV, but PR from {response.vol_pr_pct_recist:g} % below baseline on, which is what "
        "RECIST asks of the diameter.",
        _recist("4.3.1, cubed"),
        ("response.vol_pd_abs_mm3",),
    ),
    "OVRVNI": _volume_group("NI"),
    "OVRVIR": _volume_group("IR"),
    "TRG": Rule(
        "Response of the target lesions at each assessment from their sum of diameters (SDIAM in "
        f"ADTR), {_TARGET}.",
        _recist("4.3.1, 4.3.2 and 4.4.2"),
        ("response.cr_reappear",),
    ),
    "NTRG": Rule(
        "Response of the non-target lesions at each assessment: PD if the reader calls one "
        "unequivocal progression, CR if all are absent (nodes normal), NE if one was not "
        "evaluated, else NON-CR/NON-PD.",
        _recist("4.3.3 and 4.3.4"),
        ("response.nt_pd_states", "response.nontarget_partial"),
    ),
    "NEWL": Rule(
        "Whether there is a new lesion at the assessment: UNEQUIVOCAL, EQUIVOCAL or N. One without "
        "any doubt recorded is unequivocal.",
        _recist("4.3.5"),
    ),
}

# -- ADRS: once for a subject -----------------------------------------------------------------

_CANDIDATES = (
    "the assessments from the start (ADSL.STARTDT0) up to the first PD and not after a new "
    "anticancer therapy"
)
_CONFIRMING = ("response.max_ne_between", "response.accept_sd_between")


def _best(at: str, subject: str) -> Rule:
    return Rule(
        f"Best {subject}, in the order CR, PR, SD, NON-CR/NON-PD, PD, NE, of the {at} of "
        f"{_CANDIDATES}; SD and NON-CR/NON-PD from day {{response.sd_min_days}} after the start "
        "on, before that they are NE. MISSING without any assessment.",
        _recist("4.6"),
    )


def _confirmed_best(at: str, subject: str) -> Rule:
    return Rule(
        f"Best {subject} of the {at} of {_CANDIDATES}, where CR and PR count only if a later one "
        "at least {response.confirm_days} days after them confirms them (CR by CR, PR by PR or "
        "CR); without it they are SD. What is less than CR after a CR is PD. SD from day "
        "{response.sd_min_days} after the start on, before that it is NE. MISSING without any "
        "assessment.",
        _recist("4.6.1 and Table 3"),
        ("response.confirm_tolerance_days", *_CONFIRMING),
    )


def _progression(at: str) -> Rule:
    return Rule(
        f"Y with the date of the first PD among the {at}, else N; the date is that of the last "
        "scan of the sum.",
        _recist("4.3"),
    )


_ONCE = {
    "PD": Rule(
        "Y with the date of the first PD among the OVR, else N. The date is the first scan that "
        "shows a new lesion or unequivocal progression, or the last one of a sum that has grown.",
        _recist("4.3"),
        ("response.equivocal_backdate",),
    ),
    "PDNI": _progression("OVRNI"),
    "PDIR": _progression("OVRIR"),
    "PDLD": _progression("OVRLD"),
    "RSP": Rule("Y with the date of the first CR or PR that BOR looks at, else N."),
    "CRSP": Rule(
        "Y with the date of the first CR or PR that is confirmed at least {response.confirm_days} "
        "days later (see CBOR), else N.",
        _recist("4.6.1"),
    ),
    "CRSPV": Rule(
        "Y with the date of the first CR or PR by volume (OVRV) that is confirmed at least "
        "{response.confirm_days} days later (see CBORV), else N.",
    ),
    "CRSPV2": Rule(
        "Y with the date of the first CR or PR by volume (OVRV2) that is confirmed at least "
        "{response.confirm_days} days later (see CBORV2), else N.",
    ),
    "CB": Rule("Y if BOR is CR, PR, SD or NON-CR/NON-PD, else N."),
    "CCB": Rule("Y if CBOR is CR, PR, SD or NON-CR/NON-PD, else N."),
    "BOR": _best("overall responses (OVR)", "response"),
    "CBOR": _confirmed_best("overall responses (OVR)", "response"),
    "CBORV": _confirmed_best("overall responses by volume (OVRV)", "response"),
    "BORNI": _best("responses of the non-irradiated target lesions (OVRNI)", "response"),
    "CBORNI": _confirmed_best("responses of the non-irradiated target lesions (OVRNI)", "response"),
    "BORIR": _best("responses of the irradiated target lesions (OVRIR)", "response"),
    "CBORIR": _confirmed_best("responses of the irradiated target lesions (OVRIR)", "response"),
    "CBORV2": _confirmed_best("overall responses by volume (OVRV2)", "response"),
    "CBORVNI": _confirmed_best("responses of these lesions by volume (OVRVNI)", "response"),
    "CBORVIR": _confirmed_best("responses of these lesions by volume (OVRVIR)", "response"),
    "BORLD": _best("responses of the low-dose target lesions (OVRLD)", "response"),
    "CBORLD": _confirmed_best("responses of the low-dose target lesions (OVRLD)", "response"),
    "BCP": Rule("Y if BOR is CR or PR, else N."),
    "CBCP": Rule("Y if CBOR is CR or PR, else N."),
    "ARR": Rule(
        "Y if BORNI is CR or PR, else N; subjects with a non-irradiated target lesion.",
        ("Theelen 2021, Lancet Respir Med 9:467: abscopal response rate",),
    ),
    "ACR": Rule(
        "Y if BORNI is CR, PR or SD, else N; subjects with a non-irradiated target lesion.",
        ("Theelen 2021, Lancet Respir Med 9:467: abscopal control rate",),
    ),
    "ARRNL": Rule(
        "Y if the best of the OVRNINL that count is CR or PR, else N; a new lesion or non-target "
        "progression is PD of its assessment. Subjects with a non-irradiated target lesion.",
    ),
    "ACRNL": Rule(
        "Y if the best of the OVRNINL that count is CR, PR or SD, else N; a new lesion or "
        "non-target progression is PD of its assessment. Subjects with a non-irradiated target "
        "lesion.",
    ),
    "ABSANY": Rule(
        "Y if any non-irradiated target lesion was at least {response.pr_pct:g} % below its "
        "baseline (LSPCHGB in ADLES), else N.",
        ("Golden 2015, Lancet Oncol 16:795",),
    ),
    "NRCPT": Rule(
        "Y if every non-irradiated target lesion is controlled (LSCTRL in ADLES), else N.",
        _REGISTRY,
        ("endpoints.nrcr_rule",),
    ),
    "LSTA": Rule("The last overall response (OVR) that is not NE, with its date."),
    "MDIS": Rule("Y with the date of the baseline sum if the target lesions have one, else N."),
    "DEATH": Rule("Y with ADSL.DTHDT if the subject died, else N."),
    "NACT": Rule("Y with ADSL.NACTDT if a new anticancer therapy began, else N."),
}

# -- ADRS: by iRECIST -------------------------------------------------------------------------

_SEYMOUR = ("iRECIST (Seymour 2017, Lancet Oncol 18:e143), Tables 2 and 3",)
_AT_VISITS_BY_IRECIST = {
    "IOVR": Rule(
        "Response by iRECIST at each assessment: as OVR until a PD, which is iUPD. From "
        "{irecist.confirm_min_days} days after it on iCPD if the sum of the targets is at least "
        "{irecist.confirm_abs_mm:g} mm above that at the iUPD, that of the new lesions at least "
        "{irecist.new_abs_mm:g} mm, a non-target lesion that had progressed or a new one that is "
        "not measured has grown (NTLWIND, NEWLWIND in RS, else TUMSTATE), there is a further new "
        "lesion, or what had not progressed does. iCR, iPR or iSD again if none is met any more "
        "and the new lesions are gone or the targets respond better than at the iUPD; a later "
        "progression is then measured from the nadir. Else iUPD, or NE if nothing was evaluated.",
        _SEYMOUR,
        ("irecist.confirm_tolerance_days", "irecist.early_new_lesion", "irecist.increase_states"),
    ),
}
_ONCE_BY_IRECIST = {
    "IBOR": Rule(
        "Best response by iRECIST, in the order iCR, iPR, iSD, NON-iCR/NON-iUPD, iCPD, iUPD, NE, "
        "of the assessments from the start (ADSL.STARTDT0) up to the first iCPD and not after a "
        "new anticancer therapy; iSD and NON-iCR/NON-iUPD from day {response.sd_min_days} after "
        "the start on, before that they are NE. iCPD has the date of its iUPD. MISSING without "
        "any assessment.",
        _SEYMOUR,
    ),
    "IUPD": Rule("Y with the date of the first iUPD that IBOR looks at, else N.", _SEYMOUR),
    "ICPD": Rule(
        "Y if there is an iCPD that IBOR looks at, with the date of the first iUPD of that "
        "progression, else N. CRIT1FL is Y if the iCPD comes more than "
        "{irecist.confirm_max_days} days later.",
        _SEYMOUR,
        ("irecist.confirm_tolerance_days",),
    ),
    "IPD": Rule(
        "Y with the date of the first iUPD of the progression that ends in iCPD, or that no "
        "response or stable disease follows, else N.",
        _SEYMOUR,
    ),
}

# -- ADRS: of a reader ------------------------------------------------------------------------

_READERS = {
    "INV": "the evaluator of the study",
    "IRC": "a reader other than the evaluator of the study",
}
_COLLECTED = {
    "OVR": "OVRLRESP",
    "TRG": "TRGRESP",
    "NTRG": "NTRGRESP",
    "NEWL": "NEWLPROG",
    "BEST": "BESTRESP",
}
_COLLECTED_BY_IRECIST = {
    "IOVR": "OVRLRESP",
    "ITRG": "TRGRESP",
    "INTRG": "NTRGRESP",
    "IBEST": "BESTRESP",
    "NTLW": "NTLWIND",
    "NEWLW": "NEWLWIND",
}
_FROM_READER = ("PD", "RSP", "CRSP", "CCB", "BOR", "CBOR")


def _of_readers() -> dict[str, Rule]:
    found = {}
    for ending, reader in _READERS.items():
        for code, test in _COLLECTED.items():
            found[code + ending] = Rule(
                f"RSSTRESC of {test} in RS as {reader} gave it, by {{response.criteria}}.",
                also=("response.evaluator",),
            )
        for code, test in _COLLECTED_BY_IRECIST.items():
            found[code + ending] = Rule(
                f"RSSTRESC of {test} in RS as {reader} gave it, by iRECIST.",
                also=("response.evaluator",),
            )
        once = {code: _ONCE[code] for code in _FROM_READER} | _ONCE_BY_IRECIST
        for code, rule in once.items():
            source = "IOVR" if code in _ONCE_BY_IRECIST else "OVR"
            found[code + ending] = Rule(
                f"{rule.text} From the responses of {reader} in RS ({source}{ending}) instead of "
                "measurements, for subjects whom that reader assessed.",
                rule.cites,
                (*rule.also, "response.cr_then_lesser"),
            )
    return found


# -- ADEX -------------------------------------------------------------------------------------

_EXPOSURE: Mapping[str, Rule] = {
    "PDCUM": Rule(
        "Sum of the doses in mg (of g and ug converted). There is none if a dose is missing, in "
        "another unit, or of another drug."
    ),
    "PDCYC": Rule(
        "Days with a dose; a dose less than half of {treatment.dose_interval_days} days after the "
        "one before belongs to its cycle. There is none if a dose has no date."
    ),
    "PDDI": Rule(
        "PDCUM by the weeks from PD1SDT to PD1EDT plus {treatment.dose_interval_days} days. There "
        "is none if a dose has no date."
    ),
    "PDDOSE": Rule("Days with a dose in EX, and doses without a date."),
    "PDDUR": Rule("PD1EDT - PD1SDT + 1."),
    "PDRDI": Rule(
        "Sum of the doses as percentage of the planned one: the planned dose of a day times the "
        "days from PD1SDT to PD1EDT plus {treatment.dose_interval_days}, divided by "
        "{treatment.dose_interval_days}. There is none if a dose or its date is missing, or doses "
        "are not of one unit and one drug.",
        also=("treatment.planned_dose",),
    ),
    "RTBED": Rule(
        "Of each site the sum over its courses of n * d * (1 + d / {radiotherapy.alpha_beta:g}) "
        "for n fractions of d Gy; of these the highest, because doses to different tissue are not "
        "added. There is none if that of a site is not known.",
        ("Fowler 1989, the linear-quadratic formula",),
    ),
    "RTCOMPL": Rule(
        "N if SUPPPR.PRCOMPL is N for a course and site, Y if it is Y for each, else there is none."
    ),
    "RTDOSE": Rule("ADSL.RTDOSTOT."),
    "RTDUR": Rule("RTEDT - RTSDT + 1."),
    "RTFRAC": Rule("Sum of SUPPPR.PRFRNUM over courses and sites; none if one is missing."),
    "RTSITE": Rule("ADSL.NRTSITE."),
    "TRTDUR": Rule("ADSL.TRTDURD."),
}

RULES: Mapping[str, Mapping[str, Rule]] = {
    "ADTR": {f"SDIAM{ending}": _diameters(ending) for ending in _OF}
    | {f"SVOL{ending}": _volumes(ending) for ending in _OF}
    | {f"VPCHG{ending}": _mean_changes(ending) for ending in _OF},
    "ADLES": _LESIONS,
    "ADRS": _AT_VISITS | _ONCE | _AT_VISITS_BY_IRECIST | _ONCE_BY_IRECIST | _of_readers(),
    "ADEX": _EXPOSURE,
}
"""Dataset -> PARAMCD -> its rule."""
