"""Issues: what is wrong with the data, as data.

Codes are two letters and four digits: FH source, CT terminology, SD SDTM, AD ADaM, RS response, QC
conformance rules (`conformance/`).
A message never holds a value that could identify a person: it names resources, records, codes
and counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from fhir2cdisc.errors import DeclarationError

SAMPLES = 20


class Severity(StrEnum):
    """How much an issue matters to what is submitted."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry of the catalogue: what the code means, and what to do about it."""

    severity: Severity
    title: str
    hint: str


E_, W_, N_ = Severity.ERROR, Severity.WARNING, Severity.NOTE

CATALOGUE: dict[str, Kind] = {
    # FH: the source
    "FH0001": Kind(
        E_,
        "Line or file is not valid JSON",
        "correct it, or export it again: FHIR JSON is UTF-8, and a line of NDJSON ends in LF; it "
        "was left out",
    ),
    "FH0002": Kind(
        E_, "File ends early or is damaged", "export the file again; what could be read was used"
    ),
    "FH0003": Kind(
        E_, "Entry has no resourceType", "it is no FHIR resource; remove it or correct it"
    ),
    "FH0004": Kind(E_, "Resource has no usable subject", "add the reference to its Patient"),
    "FH0005": Kind(E_, "Subject is not in the input", "export the Patient too"),
    "FH0006": Kind(
        W_, "Reference leads nowhere", "export the resource it names, or correct the reference"
    ),
    "FH0007": Kind(
        W_, "Several values where one is expected; the first is used", "say which one is meant"
    ),
    "FH0008": Kind(E_, "Element has an unexpected shape", "the resource does not conform to FHIR"),
    "FH0009": Kind(
        E_, "Date or time is not valid", "correct it in the source; the message says what was used"
    ),
    "FH0010": Kind(
        W_,
        "Resource is given twice with the same version and different content; the last one is used",
        "export it once, or with its versions",
    ),
    "FH0011": Kind(
        W_, "File is not FHIR and was passed over", "remove it from the folder, or check its name"
    ),
    "FH0012": Kind(
        W_,
        "Unknown modifierExtension; resource set aside",
        "add it to [fhir] modifier_extensions if it is harmless",
    ),
    "FH0013": Kind(
        N_,
        "The same official identifier on several resources; the newest is used",
        "check that they are one record",
    ),
    "FH0014": Kind(
        W_, "Resource has no id; its place in the input stands for it", "export it with its id"
    ),
    "FH0016": Kind(E_, "Unknown resourceType", "it is no FHIR resource type"),
    "FH0017": Kind(
        E_,
        "Subject has no id and was left out",
        "export the Patient with its id; nothing can refer to it without one",
    ),
    "FH0018": Kind(
        E_, "File or folder cannot be read and was passed over", "check its permissions and links"
    ),
    "FH0019": Kind(
        N_, "Resource is given more than once with the same content", "the copies change nothing"
    ),
    # CT: terminology
    "CT0001": Kind(
        W_,
        "Code or text has no CDISC term",
        "give it one in [aliases] or conceptmaps/ of the study, see docs/input.md",
    ),
    "CT0002": Kind(W_, "Unit cannot be converted", "use a UCUM unit, or correct it"),
    # SD: SDTM
    "SD0001": Kind(
        E_, "Required variable is missing", "docs/input.md says where it is read; give it there"
    ),
    "SD0002": Kind(
        N_,
        "Text is longer than 200 bytes",
        "it continues in SUPP--; shorten it in the source if that is not wanted",
    ),
    "SD0003": Kind(W_, "Characters outside ASCII were replaced", "check the text"),
    "SD0004": Kind(W_, "Lesion has no agreed role (target, non-target, new)", "see docs/input.md"),
    "SD0005": Kind(
        W_,
        "Irradiation of the lesion cannot be determined",
        "review; it counts as neither irradiated nor not",
    ),
    "SD0007": Kind(
        W_,
        "No study treatment is named; every administration is taken as study treatment",
        "name it in [treatment] drugs",
    ),
    "SD0008": Kind(
        W_,
        "No protocol mark on radiotherapy; every delivered course is taken as protocol treatment",
        "mark it, see docs/input.md",
    ),
    "SD0009": Kind(
        W_, "Record is given more than once under the same key", "remove the duplicates"
    ),
    "SD0010": Kind(E_, "Number cannot be stored and was left out", "give an exact number in range"),
    "SD0011": Kind(
        E_,
        "Two Patients have one subject identifier; their ids were added",
        "give each subject its own ResearchSubject.identifier",
    ),
    "SD0014": Kind(W_, "Amount is negative and stays as collected", "correct it in the source"),
    "SD0015": Kind(
        W_,
        "Seriousness of an adverse event and its criteria contradict each other",
        "query AESER and the criteria",
    ),
    "SD0016": Kind(
        N_,
        "Dataset is there in several formats; one is read",
        "keep one format, or check that they agree",
    ),
    # AD: ADaM
    "AD0001": Kind(W_, "A dataset that the derivation needs is not there", "see docs/adam.md"),
    "AD0002": Kind(W_, "Subject has no study clock start", "give the date of enrolment"),
    "AD0003": Kind(W_, "Partial date was imputed", "complete it in the source if possible"),
    "AD0004": Kind(
        W_,
        "Death has no usable date; survival is censored at the last date known alive",
        "query the date",
    ),
    "AD0005": Kind(
        W_,
        "Enrolment or the study clock has no date of its own; another date stands in",
        "give the date",
    ),
    "AD0006": Kind(
        W_,
        "Adverse event has no usable start date and is not counted as treatment-emergent",
        "query the date",
    ),
    "AD0007": Kind(
        W_, "Adverse event has no grade and is not counted as grade 3 or higher", "query the grade"
    ),
    "AD0008": Kind(
        W_,
        "Event is dated before the study clock starts; it counts on the first day",
        "check the date",
    ),
    "AD0009": Kind(
        N_,
        "Subject is outside the denominator of an endpoint",
        "see the counted reasons among the endpoints",
    ),
    "AD0010": Kind(
        W_,
        "Date of death is that of the disposition",
        "query DTHDTC; OS and PFS use the date of the disposition",
    ),
    "AD0018": Kind(
        W_,
        "Groups of subjects cannot be compared",
        "[endpoints] group names a variable of ADSL with 2 to 10 values",
    ),
    "AD0019": Kind(
        N_,
        "Subject has no value of the grouping variable and is in no group",
        "complete the value in the source",
    ),
    "AD0015": Kind(
        E_,
        "Event has no complete date and does not end the observation",
        "query the date; until then the subject is censored",
    ),
    "AD0020": Kind(
        N_,
        "Record after the data cut-off is not used in ADaM",
        "see [study] data_cutoff; the record stays in SDTM",
    ),
    "AD0021": Kind(
        W_,
        "Treated subject has no usable date of first treatment; no event is treatment-emergent",
        "complete EXSTDTC or PRSTDTC",
    ),
    "AD0022": Kind(
        W_,
        "Exposure is not known well enough to be summed up",
        "complete dose and unit, or correct them",
    ),
    # RS: response
    "RS0001": Kind(
        W_,
        "Subject has no baseline with all target lesions",
        "measure them before treatment; only PD over a later sum can be said",
    ),
    "RS0002": Kind(W_, "Measurement is negative and was left out", "correct it in the source"),
    "RS0003": Kind(
        W_,
        "Lesion is measured more than once in one assessment; the latest is used",
        "remove the duplicate",
    ),
    "RS0005": Kind(
        W_, "Nodal target is measured by its longest diameter only", "give the short axis"
    ),
    "RS0008": Kind(
        N_,
        "Several evaluators; one is used for the derived response",
        "name it in [response] evaluator",
    ),
    "RS0009": Kind(
        W_,
        "Target lesion is neither known as irradiated nor as not irradiated",
        "link the radiotherapy course to its lesions; until then it is in no lesion group but ALL",
    ),
    "RS0010": Kind(
        E_, "Tumour record has neither a date nor a time point", "give the date of the scan"
    ),
    "RS0011": Kind(
        W_,
        "New lesion has no result record; it counts as present when it was identified",
        "add its TR record",
    ),
    "RS0012": Kind(
        N_,
        "Lesion was irradiated off protocol and is not evaluable from then on",
        "check that the course is off protocol",
    ),
    "RS0014": Kind(
        W_,
        "Collected response is not used in the analysis",
        "see [response] criteria; the record stays in RS",
    ),
    "RS0016": Kind(
        W_,
        "Irradiation of the lesion and the level of its dose contradict one another",
        "correct TUIRRAD or TUIRRLVL; until then the lesion is in no lesion group but ALL",
    ),
    "RS0020": Kind(
        N_,
        "New lesion is not recorded at a later assessment and counts as still there (iRECIST)",
        "record it at every assessment, also when it is absent",
    ),
    "RS0021": Kind(
        N_,
        "Non-target progression is stated again, but not whether it has increased (iRECIST)",
        "collect NTLWIND, or a TUMSTATE of [irecist] increase_states; else it stays unconfirmed",
    ),
    "RS0022": Kind(
        W_,
        "More new targets than iRECIST allows: five, two of an organ",
        "check which of the new lesions are to be measured; all were added",
    ),
    "RS0023": Kind(
        W_,
        "Collected response is no term of the criteria and counts as not evaluable",
        "give the term of the codelist, such as PR",
    ),
    "RS0024": Kind(
        E_,
        "No record is of the evaluator whose responses are analysed",
        "name whose they are in [response] evaluator",
    ),
    "RS0025": Kind(
        W_,
        "Measurement or response has no usable date",
        "give the date of the scan, to the day",
    ),
    "RS0026": Kind(
        W_,
        "Diameter is in an unknown unit and was left out",
        "give it in mm or cm",
    ),
    "RS0027": Kind(
        W_,
        "State of a lesion is no known term and counts as present",
        "give the term of the codelist; see [response] nt_pd_states for progression",
    ),
    # QC: conformance rules
    "QC0001": Kind(W_, "Too many target lesions", "keep the targets of the protocol, see [checks]"),
    "QC0002": Kind(W_, "Target lesion is too small to be measured", "record it as non-target"),
    "QC0003": Kind(
        W_, "Node of 10 to below 15 mm is recorded as target", "record it as non-target"
    ),
    "QC0004": Kind(
        W_,
        "Target lesion was irradiated before and has not progressed since",
        "give TUPRVIRP = Y if it has, else record it as non-target",
    ),
    "QC0005": Kind(
        W_, "Target lesion has no baseline measurement", "give the measurement, or query the role"
    ),
    "QC0006": Kind(
        W_,
        "Result belongs to no identified lesion and is not used",
        "identify the lesion in TU, or correct TRLNKID",
    ),
    "QC0007": Kind(
        W_,
        "New lesion is recorded at baseline and does not count there",
        "check date and role",
    ),
    "QC0008": Kind(
        W_,
        "Lesion is assessed by another method than at baseline",
        "give TRREASNE and no size if the methods do not compare",
    ),
    "QC0009": Kind(
        W_, "Collected sum is not that of the lesions", "correct the sum, or the diameters"
    ),
    "QC0010": Kind(
        W_,
        "Collected response is not the derived one",
        "see results/concordance.csv; query the response, or the measurements",
    ),
    "QC0011": Kind(
        W_,
        "Disease after a complete response without progression",
        "query: either the CR was none, or it is PD; [response] cr_then_lesser decides",
    ),
    "QC0012": Kind(W_, "Response after progression", "query the progression, or the response"),
    "QC0013": Kind(
        W_, "Progression of targets with too small an increase", "query the target response"
    ),
    "QC0014": Kind(N_, "Not evaluated, and no reason is given", "give the reason"),
    "QC0015": Kind(
        W_,
        "Irradiation of the lesion and radiotherapy records disagree",
        "link course and lesion by PRLNKID or RELREC, or correct TUIRRAD; a treated lesion that is "
        "not marked counts in lesion group ALL only, from the course on",
    ),
    "QC0016": Kind(W_, "Radiotherapy course is linked to no lesion", "name the treated lesion"),
    "QC0017": Kind(W_, "Scan dates within one assessment are far apart", "check the time point"),
    "QC0018": Kind(
        W_, "Assessment is dated after death or the data cut", "correct one of the two dates"
    ),
    "QC0019": Kind(W_, "Contact is dated after death", "query DTHDTC, or the date of the contact"),
    "QC0020": Kind(
        E_, "Fatal adverse event without a recorded death", "query the death; OS is censored"
    ),
}

RETIRED: dict[str, str] = {
    "SD0006": "QC0016",
    "AD0011": "QC0020",
    "RS0004": "QC0006",
    "RS0006": "QC0018",
    "RS0007": "QC0017",
    "RS0013": "QC0007",
    "RS0015": "QC0011",
    "RS0017": "QC0015",
}
"""Codes that are not given any more, and what says it now; they mean nothing else ever again."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One kind of problem, however many records it touches."""

    code: str
    message: str
    count: int
    samples: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return CATALOGUE[self.code]


class Issues:
    """A collector: equal code and message are one issue, with at most 20 samples."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, set[str]]] = {}

    def add(
        self, code: str, message: str = "", samples: Iterable[str] = (), count: int = 0
    ) -> None:
        """Report a problem; `count` defaults to the number of samples (at least 1).

        `samples` name resources or records (``Observation/x``, ``file:line``, ``USUBJID TUSEQ``).
        """
        if code not in CATALOGUE:
            raise DeclarationError(f"issue code {code} is not in the catalogue")
        names = list(samples)
        before, kept = self._found.get((code, message), (0, set()))
        kept.update(names)
        self._found[code, message] = (before + (count or max(len(names), 1)), _smallest(kept))

    def extend(self, issues: Iterable[Issue]) -> None:
        for issue in issues:
            self.add(issue.code, issue.message, issue.samples, issue.count)

    def __iter__(self) -> Iterator[Issue]:
        """In order of code and message, whatever the order of reporting."""
        for (code, message), (count, kept) in sorted(self._found.items()):
            yield Issue(code, message, count, tuple(sorted(kept)))

    def __len__(self) -> int:
        return len(self._found)


def _smallest(names: set[str]) -> set[str]:
    """At most `SAMPLES` of them, always the same ones whatever the order they came in."""
    return names if len(names) <= SAMPLES else set(sorted(names)[:SAMPLES])
