"""What each setting of a study means, in a sentence with the value in force, and where it is from.

`study.py` says what may be set; this says it to those who read a protocol. Every setting has its
sentence here (tests/test_protocol.py): from it come the protocol-definition sheet of every run and
``fhir2cdisc explain``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fhir2cdisc.study import Study

RECIST = "RECIST 1.1 (Eisenhauer 2009)"
IRECIST = "iRECIST (Seymour 2017), Table 2"
OURS = "decision of this program"
STUDY = "the study itself"


@dataclass(frozen=True, slots=True)
class Says:
    """The sentence of a setting and the source of its default.

    ``{value}`` stands for the value in force. `by_value` has another sentence for a value: for
    each of a choice, for true and false, or for none (``""`` a text or a date, 0 a number or a
    list).
    """

    sentence: str = ""
    source: str = OURS
    by_value: Mapping[Any, str] = field(default_factory=dict)

    def of(self, value: Any) -> str:
        """The sentence with a value in force."""
        key = len(value) if isinstance(value, Mapping | list | tuple) else value
        template = self.by_value.get("" if key is None else key, self.sentence)
        return template.format(value=text_of(value))


def _choice(source: str = OURS, **by_value: str) -> Says:
    return Says("", source, by_value)


def _either(true: str, false: str, source: str = OURS) -> Says:
    return Says("", source, {True: true, False: false})


def _or_none(sentence: str, none: str, source: str = OURS) -> Says:
    return Says(sentence, source, {"": none, 0: none})


SENTENCES: Mapping[str, Says] = {
    # [study]
    "study.id": Says("The study is {value} (STUDYID).", STUDY),
    "study.title": _or_none(
        "The title of the study is: {value}.", "The study has no title.", STUDY
    ),
    "study.country": _or_none(
        "A subject without an address is in {value}.",
        "A subject without an address has no country.", STUDY,
    ),
    "study.data_cutoff": _or_none(
        "Analysis uses what was collected up to {value}.",
        "There is no data cut-off: analysis uses everything that was collected.", STUDY,
    ),
    # [treatment]
    "treatment.drugs": _or_none(
        "Study drug is: {value}.",
        "No drug is named: study drug is what carries the research-study mark, else every drug.",
        STUDY,
    ),
    "treatment.arm": Says("The arm of every enrolled subject is {value}.", STUDY),
    "treatment.armcd": Says("The code of the arm is {value}.", STUDY),
    "treatment.teae_days": Says(
        "An adverse event is treatment-emergent from the first treatment to {value} days after "
        "the last.",
    ),
    "treatment.sequence": Says("The planned sequence of treatments is {value}.", STUDY),
    "treatment.related": Says("Related to the treatment are events said to be: {value}."),
    "treatment.teae_days_extended": Says(
        "In a sensitivity analysis serious and immune-related events are treatment-emergent up to "
        "{value} days after the last treatment.",
    ),
    "treatment.teae_until_new_therapy": _either(
        "An event from the start of a new anticancer therapy on is not treatment-emergent.",
        "A new anticancer therapy does not end the time in which events are treatment-emergent.",
    ),
    "treatment.dose_interval_days": Says("The drug is to be given every {value} days.", STUDY),
    "treatment.planned_dose": _or_none(
        "The planned dose of the drug on a day is {value}.",
        "The planned dose of the drug is the highest one that the subject had on a day.", STUDY,
    ),
    # [radiotherapy]
    "radiotherapy.domain": _choice(
        PR_AND_EX="Protocol radiotherapy is recorded in PR and, as exposure, in EX.",
        EX="Protocol radiotherapy is recorded in EX.",
        PR="Protocol radiotherapy is recorded in PR.",
    ),
    "radiotherapy.protocol": _choice(
        marked="Protocol radiotherapy are the courses with the research-study mark.",
        all="Every delivered course of radiotherapy is protocol treatment.",
        auto="Protocol radiotherapy are the courses with the research-study mark, or all delivered "
        "ones if none has it.",
    ),
    "radiotherapy.alpha_beta": Says(
        "The biologically effective dose of a subject has an alpha/beta of {value} Gy.",
        "linear-quadratic model, 10 Gy for tumours",
    ),
    # [response]
    "response.criteria": Says("Response is assessed by {value}.", "registry record of the trial"),
    "response.pr_pct": Says(
        "A partial response is a sum of diameters at least {value} % below baseline.",
        f"{RECIST}, 4.3.1",
    ),
    "response.pd_pct": Says(
        "Progression is a sum of diameters at least {value} % above its smallest value so far.",
        f"{RECIST}, 4.3.1",
    ),
    "response.pd_abs_mm": Says(
        "Progression is an increase of the sum of diameters by at least {value} mm, too.",
        f"{RECIST}, 4.3.1",
    ),
    "response.vol_pr_pct": Says(
        "A response by volume is a sum of volumes at least {value} % below baseline.",
        "registry record of the trial, taken literally",
    ),
    "response.vol_pr_pct_recist": Says(
        "The second response by volume is a sum of volumes at least {value} % below baseline.",
        "30 % in diameter, cubed",
    ),
    "response.vol_pd_pct": Says(
        "Progression by volume is a sum of volumes at least {value} % above its smallest value so "
        "far.", "20 % in diameter, cubed",
    ),
    "response.vol_pd_abs_mm3": _or_none(
        "Progression by volume needs an increase of at least {value} mm3, too.",
        "Progression by volume needs no absolute increase.",
    ),
    "response.vol_source": _choice(
        collected="The volume of a lesion is the collected one where it has one at baseline, else "
        "it is computed from its diameters.",
        computed="The volume of a lesion is always computed from its diameters.",
    ),
    "response.vol_third_axis": _choice(
        perpendicular="The third axis of a computed volume is the shorter diameter again.",
        mean="The third axis of a computed volume is the mean of both diameters.",
    ),
    "response.vol_tstm_mm3": Says("A lesion that is too small to measure has {value} mm3."),
    "response.tstm_mm": Says(
        "A lesion that is too small to measure counts {value} mm.", f"{RECIST}, 4.3.2"
    ),
    "response.node_normal_mm": Says(
        "A lymph node is normal below a short axis of {value} mm.", f"{RECIST}, 4.2 and 4.3.1"
    ),
    "response.confirm_days": Says(
        "A response is confirmed by a second one at least {value} days later.",
        f"{RECIST}, 4.6.1; registry record of the trial (at least 4 weeks)",
    ),
    "response.confirm_tolerance_days": _or_none(
        "The confirmation of a response may come {value} day(s) early.",
        "The confirmation of a response may not come early.",
    ),
    "response.max_ne_between": _or_none(
        "Between a response and its confirmation at most {value} assessment(s) may be not "
        "evaluable.", "No assessment between a response and its confirmation may be not evaluable.",
        f"{RECIST}, 4.4.4",
    ),
    "response.accept_sd_between": _either(
        "Stable disease between two partial responses does not undo the confirmation.",
        "Stable disease between two partial responses undoes the confirmation.",
    ),
    "response.cr_reappear": _choice(
        f"{RECIST}, Table 3, note a",
        after_overall_cr="After an overall complete response a target lesion that is there again "
        "is progression.",
        after_target_cr="After a complete response of the target lesions one that is there again "
        "is progression.",
        off="A target lesion that is there again counts by its size alone.",
    ),
    "response.cr_then_lesser": _choice(
        f"{RECIST}, Table 3, note a",
        table3="Collected responses: PR or SD after an unconfirmed CR is progression.",
        downgrade="Collected responses: an unconfirmed CR that is followed by PR or SD was PR.",
    ),
    "response.pr_carry_forward": _choice(
        "EORTC, RECIST 1.1 questions and answers",
        none="A response is tested against baseline at each assessment.",
        after_confirmed="SD after a confirmed response is shown as PR until progression; best "
        "responses do not change.",
        after_first="SD after any response is shown as PR until progression; best responses do "
        "not change.",
    ),
    "response.nontarget_partial": Says("", f"{RECIST}, Table 2", {
        "NE": "If a non-target lesion was not evaluated and none is PD, the non-target response "
        "is NE.",
        "NON-CR/NON-PD": "If some non-target lesions were not evaluated and none is PD, the "
        "non-target response is NON-CR/NON-PD.",
    }),
    "response.measure": _choice(
        "registry record of the trial names volume; RECIST 1.1 measures diameters",
        diameter="The primary response rate measures diameters.",
        volume="The primary response rate measures volumes.",
    ),
    "response.irr_policy": _choice(
        ALL="The primary response rate is that of all target lesions.",
        NONIRRAD="The primary response rate is that of the non-irradiated target lesions.",
        IRRAD="The primary response rate is that of the irradiated target lesions.",
    ),
    "response.acr_new_lesion_fails": _either(
        "In ARR and ACR a new lesion or non-target progression is progression.",
        "In ARR and ACR new and non-target lesions do not count.",
    ),
    "response.low_dose_group": _either(
        "Lesions that received a low dose are a lesion group of their own.",
        "Lesions that received a low dose are irradiated or not as TUIRRAD says.",
    ),
    "response.equivocal_backdate": _either(
        "A new lesion that proves unequivocal is progression from its equivocal scan on.",
        "A new lesion that proves unequivocal is progression from the unequivocal scan on.",
        f"{RECIST}, 4.3.5",
    ),
    "response.sd_min_days": Says(
        "Stable disease counts as best response from day {value} after the start on.",
        f"{RECIST}, 4.6: the protocol says it, usually 6 to 8 weeks",
    ),
    "response.nt_pd_states": _or_none(
        "A non-target lesion has progressed if its state is {value}.",
        "The state of a non-target lesion is never progression: the reader says it.",
        f"{RECIST}, 4.3.4",
    ),
    "response.evaluator": Says("Where several read the scans, the lesions of {value} are used."),
    "response.assessment_gap_days": Says(
        "Without a named time point, scans more than {value} days apart are two assessments."
    ),
    "response.reading_window_days": Says(
        "Where no link group joins them, a collected response is compared with the assessment "
        "whose last scan is nearest, at most {value} days away."
    ),
    # [irecist]
    "irecist.enabled": _either(
        "Responses by iRECIST are derived beside those of RECIST 1.1: exploratory.",
        "No responses by iRECIST are derived.",
    ),
    "irecist.confirm_min_days": _or_none(
        "By iRECIST progression is confirmed {value} days or more after the first scan that "
        "shows it.", "By iRECIST any later scan can confirm a progression.", IRECIST,
    ),
    "irecist.confirm_max_days": Says(
        "By iRECIST a confirmation later than {value} days counts and is flagged.", IRECIST
    ),
    "irecist.confirm_tolerance_days": _or_none(
        "By iRECIST a confirmation may come {value} day(s) early or late.",
        "By iRECIST a confirmation may come no day early or late.",
        "working group of iRECIST: up to 2 days",
    ),
    "irecist.confirm_abs_mm": Says(
        "By iRECIST progression of target lesions is confirmed by a sum {value} mm or more above "
        "that at the unconfirmed progression.", IRECIST,
    ),
    "irecist.new_abs_mm": Says(
        "By iRECIST the sum of the new lesions that are measured confirms progression {value} mm "
        "or more above that at the unconfirmed progression.", IRECIST,
    ),
    "irecist.early_new_lesion": _either(
        "By iRECIST a further new lesion confirms progression on an earlier scan, too.",
        "By iRECIST a further new lesion does not confirm progression on an earlier scan.",
    ),
    "irecist.increase_states": _or_none(
        "By iRECIST a lesion that is not measured has grown further if its state is {value}.",
        "By iRECIST no state of a lesion that is not measured says of itself that it has grown.",
    ),
    # [endpoints]
    "endpoints.start": _choice(
        "registry record of the trial (from enrollment)",
        enrolment="The study clock starts with enrolment.",
        treatment="The study clock starts with the first treatment.",
    ),
    "endpoints.visit_interval_days": Says(
        "Tumours are to be assessed every {value} days.", STUDY
    ),
    "endpoints.visit_window_days": _or_none(
        "An assessment may be {value} days early or late.",
        "An assessment may be neither early nor late.", STUDY,
    ),
    "endpoints.months": Says(
        "Rates are given at {value} months, and lesions are analysed up to then.",
        "registry record of the trial (up to 6 months)",
    ),
    "endpoints.pfs_rule": _choice(
        "FDA, Clinical Trial Endpoints (2007), Appendix 3; EMA/CHMP/27994/2008",
        FDA="PFS is censored at new therapy, after missed assessments and without adequate "
        "baseline (FDA-type).",
        EMA="PFS counts progression and death whenever they are observed (EMA-type).",
    ),
    "endpoints.cut_window_days": _or_none(
        "What happens up to {value} days after the landmark still counts as up to it.",
        "Nothing after the landmark counts as up to it.",
    ),
    "endpoints.clinical_progression": _either(
        "Symptomatic deterioration without imaging is an event of PFS under EMA-type rules.",
        "Symptomatic deterioration without imaging is no event of PFS.",
    ),
    "endpoints.nrcr_rule": _choice(
        best="A lesion is controlled if its best response is CR, PR or SD.",
        sustained="A lesion is controlled if its best response is CR, PR or SD and it never "
        "progresses.",
        last="A lesion is controlled if its last response is CR, PR or SD.",
        landmark="A lesion is controlled if its response at the landmark is CR, PR or SD.",
    ),
    "endpoints.population": _choice(
        FASFL="Efficacy is analysed in all subjects enrolled and treated.",
        ITTFL="Efficacy is analysed in all subjects enrolled.",
        EVLFL="Efficacy is analysed in the subjects who are evaluable for response.",
    ),
    "endpoints.death_day": Says(
        "A death without a day of the month is dated on day {value}, never before the last contact."
    ),
    "endpoints.confidence_level": Says("The level of all confidence intervals is {value}."),
    "endpoints.proportion_interval": _choice(
        "Clopper and Pearson 1934; Wilson 1927",
        exact="Shares of subjects have exact intervals (Clopper and Pearson).",
        wilson="Shares of subjects have score intervals (Wilson).",
    ),
    "endpoints.survival_interval": Says(
        "Limits of survival curves and of their quantiles are made on the {value} scale.",
        "Kalbfleisch and Prentice; Brookmeyer and Crowley 1982",
    ),
    "endpoints.null_rate": _or_none(
        "Response rates are tested one-sided and exactly against a rate of {value}.",
        "Response rates are not tested against a null hypothesis.", STUDY,
    ),
    "endpoints.group": _or_none(
        "Times to events are compared between the groups of ADSL.{value}: log-rank test and Cox "
        "regression with the ties of Efron.",
        "Times to events are not compared between groups.", STUDY,
    ),
    "endpoints.bootstrap_replicates": Says(
        "The bootstrap of the lesion control rate draws whole subjects {value} times."
    ),
    "endpoints.bootstrap_seed": Says(
        "The random numbers of the bootstrap start from the seed {value}."
    ),
    # [checks]
    "checks.max_targets": Says(
        "A subject has at most {value} target lesions.", f"{RECIST}, 4.2"
    ),
    "checks.max_targets_per_organ": Says(
        "A subject has at most {value} target lesions in one organ.", f"{RECIST}, 4.2"
    ),
    "checks.targets_by_group": _either(
        "The numbers of target lesions are limited for irradiated and other lesions apart.",
        "The numbers of target lesions are limited for all lesions together.",
        f"{RECIST}, 4.2; itRECIST (Goldmacher 2020) for lesion groups",
    ),
    "checks.min_target_mm": Says(
        "A target lesion has a longest diameter of at least {value} mm at baseline.",
        f"{RECIST}, 3.1.1",
    ),
    "checks.min_target_node_mm": Says(
        "A target node has a short axis of at least {value} mm at baseline.", f"{RECIST}, 3.1.1"
    ),
    "checks.sum_tolerance_mm": Says(
        "A collected sum of diameters may differ by {value} mm from that of the lesions."
    ),
    "checks.assessment_spread_days": Says(
        "The scans of one assessment after baseline are taken within {value} days."
    ),
    # the rest
    "fhir.modifier_extensions": _or_none(
        "These modifier extensions do not change what a resource means: {value}.",
        "A resource with an unknown modifier extension is set aside.",
        "FHIR R4, 2.4.0 (extensibility)",
    ),
    "visits": _or_none("The planned visits are {value}.", "No visit is planned by name.", STUDY),
    "aliases": _or_none(
        "Local words and codes are read as: {value}.", "No local words or codes are added.", STUDY
    ),
    "mapping": _or_none(
        "These variables are read elsewhere than by default: {value}.",
        "Every variable is read where it is by default.", STUDY,
    ),
}  # fmt: skip


class Setting(NamedTuple):
    """One setting in force: its key in study.toml, and everything there is to say about it."""

    setting: str
    value: str
    default: str
    differs: str
    sentence: str
    meaning: str
    source: str


def settings_in_force(study: Study) -> tuple[Setting, ...]:
    """Every setting of a study in the order of `study.py`; `differs` is Y or N."""
    default = Study()
    found = []
    for name, info in setting_fields():
        value, usual = _value(study, name), _value(default, name)
        says = SENTENCES[name]
        found.append(
            Setting(
                setting=name,
                value=text_of(value),
                default=text_of(usual),
                differs="N" if value == usual else "Y",
                sentence=says.of(value),
                meaning=" ".join((info.description or "").split()),
                source=says.source,
            )
        )
    return tuple(found)


def sentence_of(study: Study, name: str) -> str:
    """What a setting means, with the value of a study."""
    return SENTENCES[name].of(_value(study, name))


def setting_fields() -> Iterator[tuple[str, FieldInfo]]:
    """``section.key`` of every setting, or the name of a free table, with its field."""
    for section, info in Study.model_fields.items():
        if info.exclude:
            continue
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            for key, own in info.annotation.model_fields.items():
                yield f"{section}.{key}", own
        else:
            yield section, info


def text_of(value: Any) -> str:
    """A value as it is shown: numbers without needless decimals, lists with commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(text_of, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {_nested(part)}" for key, part in value.items())
    return "" if value is None else str(value)


def _nested(value: Any) -> str:
    """A table within a table as it would be written in one line."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text_of(value)


def _value(study: Study, name: str) -> Any:
    section, _, key = name.partition(".")
    part = getattr(study, section)
    return getattr(part, key) if key else part
