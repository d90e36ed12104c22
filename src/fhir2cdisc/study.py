"""The study configuration: what a study says differently, and nothing else.

`study.toml` is read here and nowhere else. Every key has a default; without a file the defaults
alone are in force. An unknown key or a wrong value is a `StudyError` that names the file and the
key. See docs/study.md for the keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from fhir2cdisc.core.column import Column
from fhir2cdisc.core.dates import is_date
from fhir2cdisc.core.mapping import DomainMapping
from fhir2cdisc.core.path import compile_paths
from fhir2cdisc.core.verbs import const, first_of, iso8601, number, path, recode, var
from fhir2cdisc.errors import PathError, StudyError
from fhir2cdisc.sdtm import standard
from fhir2cdisc.terminology import codelists
from fhir2cdisc.terminology.additions import nearest, wrong_term

Texts = Annotated[tuple[str, ...], Field(strict=False)]  # TOML has lists, no tuples


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, strict=True, allow_inf_nan=False
    )


class Identity(_Settings):
    """[study]."""

    id: str = Field(default="UNSPECIFIED", pattern=r"^[A-Z0-9][A-Z0-9 ._-]{0,19}$")
    """STUDYID: at most 20 capital letters, digits, blanks, dots and hyphens."""
    title: str = ""
    """Title of the study, for run.json."""
    country: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    """ISO 3166-1 alpha-3 code for DM.COUNTRY where the Patient has no address."""
    data_cutoff: date | None = None
    """Last day whose records ADaM uses (a TOML date, 2025-06-30); SDTM keeps everything."""


class Treatment(_Settings):
    """[treatment]."""

    drugs: Texts = ()
    """Study drugs, by the text, display or code of the medication; none: see EX."""
    arm: str = "Treatment"
    """ARM of every enrolled and ACTARM of every treated subject: the study has one arm."""
    armcd: str = Field(default="TRT", max_length=20)
    """ARMCD and ACTARMCD."""
    teae_days: int = Field(default=30, ge=0)
    """Days after the last treatment during which an adverse event is treatment-emergent."""
    sequence: str = "RT + PD-1"
    """TRTSEQP, the planned sequence of treatments."""
    related: Texts = (
        "RELATED", "POSSIBLY RELATED", "PROBABLY RELATED", "DEFINITELY RELATED",
        "POSSIBLE", "PROBABLE", "DEFINITE", "Y",
    )  # fmt: skip
    """Values of AEREL and AERELRT that count as related to the treatment."""
    teae_days_extended: int = Field(default=90, ge=0)
    """The same for serious and immune-related events, in the sensitivity analysis AE3-EXTENDED."""
    teae_until_new_therapy: bool = False
    """Whether an event from the start of a new anticancer therapy on is not treatment-emergent."""
    dose_interval_days: int = Field(default=21, gt=0)
    """Planned days between two doses of the drug, for cycles and dose intensity."""
    planned_dose: float = Field(default=0, ge=0)
    """Planned dose of a day in mg, or in the unit of EX where that is no mass (mg/kg); 0: the
    highest one of the subject."""


class Radiotherapy(_Settings):
    """[radiotherapy]."""

    domain: Literal["PR_AND_EX", "EX", "PR"] = "PR_AND_EX"
    """Where protocol radiotherapy is recorded."""
    protocol: Literal["marked", "all", "auto"] = "auto"
    """Which courses are protocol treatment: those marked with the research-study extension, all,
    or (auto) the marked ones if there are any, else all."""
    alpha_beta: float = Field(default=10, gt=0)
    """Alpha/beta in Gy for the biologically effective dose in ADEX."""


class Response(_Settings):
    """[response] (RECIST 1.1; section numbers of Eisenhauer 2009)."""

    criteria: str = "RECIST 1.1"
    """RSCAT and PARCAT3. If it is iRECIST, what is derived by RECIST 1.1 is called so."""
    pr_pct: float = Field(default=30, gt=0, lt=100)
    """Decrease from baseline for PR, percent, inclusive (4.3.1)."""
    pd_pct: float = Field(default=20, gt=0)
    """Increase over nadir for PD, percent, inclusive (4.3.1)."""
    pd_abs_mm: float = Field(default=5, ge=0)
    """Absolute increase over nadir for PD, mm, inclusive (4.3.1)."""
    vol_pr_pct: float = Field(default=30, gt=0, lt=100)
    """Decrease of volume for a response, percent: the registry's wording taken literally."""
    vol_pr_pct_recist: float = Field(default=65.7, gt=0, lt=100)
    """The same for the second volume response, percent: what 30 % in diameter are in volume."""
    vol_pd_pct: float = Field(default=72.8, gt=0)
    """Increase of volume over nadir for PD, percent: 20 % in diameter."""
    vol_pd_abs_mm3: float = Field(default=0, ge=0)
    """Absolute increase of volume over nadir for PD, mm3: none unless given."""
    vol_source: Literal["collected", "computed"] = "collected"
    """Collected volumes where a lesion has one at baseline, else (or always) from the diameters."""
    vol_third_axis: Literal["perpendicular", "mean"] = "perpendicular"
    """Third axis of a lesion with two diameters: the shorter one again, or the mean of both."""
    vol_tstm_mm3: float = Field(default=65, gt=0)
    """Volume of a lesion that is too small to measure, mm3: a sphere of 5 mm."""
    tstm_mm: float = Field(default=5, gt=0)
    """Value of a lesion that is too small to measure, mm (4.3.2)."""
    node_normal_mm: float = Field(default=10, gt=0)
    """A node is normal below this short axis, mm (4.2)."""
    confirm_days: int = Field(default=28, ge=0)
    """Days between a response and its confirmation (4.6.1)."""
    confirm_tolerance_days: int = Field(default=0, ge=0)
    """Days by which a confirmation may come earlier than `confirm_days`."""
    max_ne_between: int = Field(default=1, ge=0)
    """NE assessments allowed between a response and its confirmation (4.4.4)."""
    accept_sd_between: bool = False
    """Whether PR, SD, PR confirms PR."""
    cr_reappear: Literal["after_overall_cr", "after_target_cr", "off"] = "after_overall_cr"
    """After which CR a target lesion that is there again is PD at once (Table 3, note a)."""
    cr_then_lesser: Literal["table3", "downgrade"] = "table3"
    """Collected responses only: PR or SD after an unconfirmed CR is progression (Table 3), or the
    CR was wrong and counts as PR. Either way they are told (QC0011)."""
    pr_carry_forward: Literal["none", "after_confirmed", "after_first"] = "none"
    """Whether SD after a confirmed (or after any) PR or CR is shown as PR until progression, as
    EORTC reads RECIST. Best responses and their confirmation always come from what was measured."""
    nontarget_partial: Literal["NE", "NON-CR/NON-PD"] = "NE"
    """Non-target response where some non-target lesions, not all, were evaluated and none is PD
    (Table 2, "not all evaluated")."""
    equivocal_backdate: bool = True
    """Whether a new lesion that proves unequivocal is PD from its equivocal scan on (4.3.5)."""
    sd_min_days: int = Field(default=42, ge=0)
    """Days from the start for SD as best response (4.6)."""
    measure: Literal["diameter", "volume"] = "diameter"
    """What the primary response rate (ORR) measures; the others stand beside it."""
    irr_policy: Literal["ALL", "NONIRRAD", "IRRAD"] = "ALL"
    """Lesion group of the primary response rate (ORR); the others stand beside it."""
    acr_new_lesion_fails: bool = False
    """Whether a new lesion or non-target progression is PD in ARR and ACR; the other way stands
    beside it."""
    low_dose_group: bool = True
    """Whether lesions with SUPPTU.TUIRRLVL of LOW-DOSE are a lesion group of their own, LOWDOSE;
    else TUIRRAD alone decides."""
    nt_pd_states: Texts = ("UNEQUIVOCAL",)
    """TUMSTATE values of a non-target lesion that mean unequivocal progression."""
    evaluator: str = "INVESTIGATOR"
    """Whose lesions are used where several evaluators read them (TUEVAL)."""
    assessment_gap_days: int = Field(default=14, ge=0)
    """Without a time point, a new assessment starts after a gap of more than so many days."""
    reading_window_days: int = Field(default=14, ge=0)
    """Days between a collected response and the assessment it is compared with, where no link
    group joins them."""

    @property
    def derived_by(self) -> str:
        """Criteria of the derived responses: `criteria`, but never iRECIST, see [irecist]."""
        return "RECIST 1.1" if self.criteria.upper() == "IRECIST" else self.criteria


class Irecist(_Settings):
    """[irecist] (Seymour 2017): exploratory beside RECIST 1.1."""

    enabled: bool = True
    """Whether responses by iRECIST are derived from the measurements."""
    confirm_min_days: int = Field(default=28, ge=0)
    """Days after iUPD from which a scan can confirm it."""
    confirm_max_days: int = Field(default=56, ge=0)
    """Days after iUPD until which it is to be confirmed; a later confirmation counts, flagged."""
    confirm_tolerance_days: int = Field(default=2, ge=0)
    """Days by which a confirmation may come earlier or later than that, unflagged."""
    confirm_abs_mm: float = Field(default=5, ge=0)
    """Increase of the sum of targets over that at iUPD that confirms it, mm, inclusive."""
    new_abs_mm: float = Field(default=5, ge=0)
    """The same for the sum of the new lesions that are measured."""
    early_new_lesion: bool = True
    """Whether a further new lesion confirms on an earlier scan, too: such a scan is not planned
    and taken as made for new symptoms."""
    increase_states: Texts = (
        "FURTHER ENLARGEMENT FROM NADIR", "FURTHER ENLARGEMENT", "INCREASED",
    )  # fmt: skip
    """TUMSTATE values that mean further growth of a non-target lesion or of a new one that is not
    measured, where RS has no NTLWIND or NEWLWIND of the assessment."""

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.confirm_max_days < self.confirm_min_days:
            raise ValueError("confirm_max_days is less than confirm_min_days")
        return self


class Endpoints(_Settings):
    """[endpoints]."""

    start: Literal["enrolment", "treatment"] = "enrolment"
    """Start of the study clock."""
    visit_interval_days: int = Field(default=42, gt=0)
    """Planned days between tumour assessments."""
    visit_window_days: int = Field(default=7, ge=0)
    """Allowed deviation, days."""
    months: int = Field(default=6, gt=0, le=600)
    """Calendar months of the landmark and of the lesion-level analysis."""
    pfs_rule: Literal["FDA", "EMA"] = "FDA"
    """Whose rules PFS and what is built on it follow: censored at new therapy, after missed
    assessments and without adequate baseline (FDA), or an event whenever it is observed (EMA).
    PFSEMA is there in either case."""
    cut_window_days: int = Field(default=0, ge=0)
    """Days after CUT6DT that still count as up to it, in PFS6M and in the analysis of lesions, so
    that a late scan of the month does."""
    clinical_progression: bool = False
    """Whether symptomatic deterioration (RS, SYMPTDTR) without imaging is an event under EMA
    rules; under those of the FDA it never is."""
    nrcr_rule: Literal["best", "sustained", "last", "landmark"] = "best"
    """When a non-irradiated lesion counts as controlled."""
    population: Literal["FASFL", "ITTFL", "EVLFL"] = "FASFL"
    """Analysis set of response, lesion control and survival: all enrolled and treated, all
    enrolled, or the evaluable subjects."""
    death_day: Literal[1, 15] = 1
    """Day of the month assumed for a date of death without a day."""
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1)
    """Level of the two-sided confidence intervals."""
    proportion_interval: Literal["exact", "wilson"] = "exact"
    """Interval of a share of subjects: Clopper and Pearson's, or Wilson's score interval."""
    survival_interval: Literal["log-log", "log", "plain"] = "log-log"
    """Scale on which the limits of survival curves and of their quantiles are made."""
    null_rate: float = Field(default=0, ge=0, lt=1)
    """Response rate of the null hypothesis of an exact one-sided test; 0: no test."""
    group: str = Field(default="", pattern=r"^([A-Z][A-Z0-9]{0,7})?$")
    """Variable of ADSL by which times to events are compared; empty: no comparison."""
    bootstrap_replicates: int = Field(default=2000, ge=100, le=100_000)
    """Replicates of the cluster bootstrap of the lesion control rate."""
    bootstrap_seed: int = Field(default=1, ge=0)
    """Seed of its random numbers: the same seed gives the same limits."""


class Checks(_Settings):
    """[checks] (limits of the conformance rules; sections of RECIST 1.1, Eisenhauer 2009)."""

    max_targets: int = Field(default=5, ge=1)
    """Target lesions of a subject (4.2)."""
    max_targets_per_organ: int = Field(default=2, ge=1)
    """Target lesions of a subject in one organ (4.2)."""
    targets_by_group: bool = False
    """Whether both limits hold for irradiated and other lesions apart: 5 and 5."""
    min_target_mm: float = Field(default=10, ge=0)
    """Smallest longest diameter of a target lesion at baseline, mm (3.1.1)."""
    min_target_node_mm: float = Field(default=15, ge=0)
    """Smallest short axis of a target node at baseline, mm (3.1.1)."""
    sum_tolerance_mm: float = Field(default=0.1, ge=0)
    """Difference allowed between a collected sum and that of the lesions, mm."""
    assessment_spread_days: int = Field(default=14, ge=0)
    """Days between the first and the last scan of one assessment after baseline."""


class Fhir(_Settings):
    """[fhir]."""

    modifier_extensions: Texts = ()
    """URLs of modifier extensions that do not change what a resource means for this study."""


class DomainColumns(_Settings):
    """[mapping.XX]."""

    columns: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """Variable -> one verb: path, const, var, recode with from, or first_of."""


class Study(_Settings):
    """Everything a study may say; frozen."""

    study: Identity = Identity()
    treatment: Treatment = Treatment()
    radiotherapy: Radiotherapy = Radiotherapy()
    response: Response = Response()
    irecist: Irecist = Irecist()
    endpoints: Endpoints = Endpoints()
    checks: Checks = Checks()
    fhir: Fhir = Fhir()
    visits: Mapping[str, float] = Field(
        default_factory=lambda: {
            "SCREENING": -1.0, "BASELINE": 0.0, "WEEK 6": 6.0, "WEEK 12": 12.0,
            "WEEK 18": 18.0, "WEEK 24": 24.0, "WEEK 30": 30.0,
        }
    )  # fmt: skip
    """VISIT (capital letters) -> VISITNUM."""
    aliases: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """Codelist or value set -> source text or ``system|code`` -> CDISC term."""
    mapping: Mapping[str, DomainColumns] = Field(default_factory=dict)
    """[mapping.XX.columns]: variables of a domain that the study reads elsewhere, or adds."""
    file: Path | None = Field(default=None, exclude=True)
    """The study file: conceptmaps/ and valuesets/ beside it win over the package's."""

    @field_validator("visits")
    @classmethod
    def _visits_have_names(cls, visits: Mapping[str, float]) -> Mapping[str, float]:
        names = [" ".join(name.split()).upper() for name in visits]
        if "" in names:
            raise ValueError("a visit has no name")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice[0]} is there twice, but for case and blanks")
        return visits

    def customise(
        self, domains: Sequence[tuple[DomainMapping, ...]]
    ) -> tuple[tuple[DomainMapping, ...], ...]:
        """The mappings with the columns that the study replaces or adds.

        A column takes the place of the one of its name in every mapping of the domain; its paths
        begin at what is a row there.

        Raises:
            StudyError: a domain or variable that there is not, or a column that cannot be read.
        """
        own = {mappings[0].domain for mappings in domains}
        if unknown := sorted(set(self.mapping) - own):
            raise self._wrong(f"there is no mapping of {', '.join(unknown)}", "mapping")
        return tuple(
            tuple(
                replace(mapping, columns={**mapping.columns, **self._columns(mapping.domain)})
                for mapping in mappings
            )
            if mappings[0].domain in self.mapping
            else mappings
            for mappings in domains
        )

    def _columns(self, domain: str) -> dict[str, Column]:
        known = {variable.name: variable for variable in standard.variables(domain)}
        columns: dict[str, Column] = {}
        for name, spec in self.mapping[domain].columns.items():
            where = f"mapping.{domain}.columns.{name}"
            if name in {"STUDYID", "DOMAIN", "USUBJID", f"{domain}SEQ"}:
                raise self._wrong(f"{name} is made by the program", where)
            if name not in known:
                near = nearest(name, known)
                raise self._wrong(f"{domain} has no variable {name}{near}", where)
            try:
                columns[name] = read_column(spec, known[name])
            except StudyError as error:
                raise self._wrong(str(error), where) from None
        return columns

    def _wrong(self, sentence: str, key: str) -> StudyError:
        return StudyError(f"{self.file or 'study.toml'}: {sentence}  @ {key}")

    @property
    def id(self) -> str:
        return self.study.id

    def named(self, identifier: str) -> Study:
        """The same study under the STUDYID of its data."""
        return self.model_copy(update={"study": self.study.model_copy(update={"id": identifier})})

    def texts(self) -> dict[str, str]:
        """The settings that mappings take over as text, by ``section.key``."""
        return {
            f"{section}.{key}": value
            for section in ("study", "treatment", "radiotherapy", "response")
            for key, value in getattr(self, section).model_dump().items()
            if isinstance(value, str)
        }

    def settings(self) -> dict[str, Any]:
        """Every setting in force, for run.json."""
        return self.model_dump(mode="json")


def read_column(spec: Mapping[str, Any], variable: standard.Variable) -> Column:
    """The column that a TOML table stands for: the same verbs as in a mapping module.

    What the engine checks in the mappings of the package holds here, too: dates, numbers, and the
    terms of a codelist that is not extensible.

    Raises:
        StudyError: not exactly one verb, a path that cannot be read, or a constant that the
            variable cannot have.
    """
    column = _read(spec, variable)
    try:
        compile_paths(sorted(column.paths))
    except PathError as error:
        raise StudyError(str(error)) from None
    closed = _closed(variable)
    if variable.name.endswith("DTC"):
        column = iso8601(column)
    elif variable.type == "Num":
        column = number(column)
    elif closed and "const" not in spec and spec.get("recode") != closed:
        column = recode(column, closed)
    return replace(column, comment=str(spec.get("comment", "")))


def _codelists(variable: standard.Variable) -> list[codelists.Codelist]:
    return [codelists.codelist(code) for code in variable.codelists if codelists.known(code)]


def _closed(variable: standard.Variable) -> str:
    """The codelist whose terms alone a variable may have, if there is one."""
    return next((found.name for found in _codelists(variable) if not found.extensible), "")


def _read(spec: Any, variable: standard.Variable, *, raw: bool = False) -> Column:
    """One verb; `raw` is a source to be recoded, not yet a value of the variable."""
    verbs = set(_VERBS) & spec.keys() if isinstance(spec, Mapping) else set()
    if len(verbs) != 1 or not spec.keys() <= {*_VERBS, "from", "comment"}:
        raise StudyError(f"expected exactly one of {', '.join(_VERBS)}")
    (verb,) = verbs
    value = spec[verb]
    if verb == "first_of":
        if not isinstance(value, list) or not value:
            raise StudyError("first_of needs at least one column")
        return first_of(*(_read(item, variable, raw=raw) for item in value))
    if not isinstance(value, str):
        raise StudyError(f"{verb} takes a text, in quotes")
    if verb == "recode":
        if "from" not in spec:
            raise StudyError("recode needs a column to recode: from")
        return recode(_read(spec["from"], variable, raw=True), value, keep=not _closed(variable))
    if verb == "const" and not raw:
        _check_constant(value, variable)
    return {"path": path, "const": const, "var": var}[verb](value)


def _check_constant(value: str, variable: standard.Variable) -> None:
    """A constant is known before any data: what the variable cannot have is refused."""
    if variable.type == "Num":
        raise StudyError(f"{variable.name} is a number, not a text")
    if variable.name.endswith("DTC") and not is_date(value):
        raise StudyError(f"{value} is no date of ISO 8601")
    wrong = [wrong_term(found.name, value) for found in _codelists(variable)]
    if wrong and all(wrong):
        raise StudyError(wrong[0])


_VERBS = ("path", "const", "var", "recode", "first_of")


def read_study(file: Path | None) -> Study:
    """The study of a study.toml, or the defaults if there is none.

    Raises:
        StudyError: unreadable file, broken TOML, unknown key or wrong value, with its place.
    """
    if file is None:
        return Study()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))  # editors may add a BOM
    except OSError as error:
        raise StudyError(f"{file}: cannot be read ({error.strerror}); check --study") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{file}: is not valid TOML: {error}") from error
    if "file" in content:
        raise StudyError(f"{file}: unknown key  @ file")
    try:
        return Study(**content, file=file)
    except ValidationError as error:
        lines = [f"{_sentence(e)}  @ {'.'.join(map(str, e['loc']))}" for e in error.errors()]
        raise StudyError(f"{file}: " + "; ".join(lines)) from None


_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text, in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list, in square brackets",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_long": "at most {max_length} characters",
}


def _sentence(error: Any) -> str:
    """What is wrong with a key, in our own words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key"
    if kind in _EXPECTED:
        return "expected " + _EXPECTED[kind].format(**context)
    if kind == "string_pattern_mismatch":
        section, key = error["loc"]
        meaning = getattr(Study(), section).__class__.model_fields[key].description
        return f"does not fit: {meaning}"
    return str(context.get("error", error["msg"]))
