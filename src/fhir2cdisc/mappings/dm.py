"""DM — Demographics: one record per Patient.

USUBJID is the study and the subject's identifier in the study; a medical record number is never
read. Reference dates come from the domains made before.

References:
    SDTMIG v3.4, section 5.2 DM, assumptions 1-10.
"""

from __future__ import annotations

from fhir2cdisc.core.column import Origin
from fhir2cdisc.core.dates import age_in_years
from fhir2cdisc.core.mapping import DomainMapping, Subjects
from fhir2cdisc.core.verbs import (
    apply,
    concept,
    const,
    earliest,
    first_of,
    gather,
    iso8601,
    latest,
    nothing,
    path,
    recode,
    setting,
    var,
    when,
)
from fhir2cdisc.mappings.sources import (
    CONSENT,
    CONSENTED,
    CONSENTING,
    PARTICIPANT,
    PATIENT,
    RACE,
    RESEARCH_SUBJECT,
    RESOURCE_ID,
    US_CORE,
)

IN_STUDY_AS = gather(RESEARCH_SUBJECT, path("identifier.first().value"), by=PARTICIPANT)

SUBJECTS = Subjects(rows=PATIENT, subjid=first_of(IN_STUDY_AS, RESOURCE_ID))

_ENDS = (
    "SS.SSDTC", "TU.TUDTC", "TR.TRDTC", "RS.RSDTC", "EX.EXSTDTC", "EX.EXENDTC", "PR.PRSTDTC",
    "PR.PRENDTC", "AE.AESTDTC", "CM.CMSTDTC", "DS.DSSTDTC",
)  # fmt: skip
_STATUS = gather(RESEARCH_SUBJECT, path("status"), by=PARTICIPANT, order=("ineligible",))
_NOT_TREATED = when(
    _STATUS,
    ("ineligible", "not-registered", "potential-candidate", "screening", "candidate"),
    const("SCREEN FAILURE"),
    when(
        gather(RESEARCH_SUBJECT, path("%key"), by=PARTICIPANT, several="SEVERAL"),
        (),
        const("ASSIGNED, NOT TREATED"),
        const("NOT ASSIGNED"),
    ),
)

DM = (
    DomainMapping(
        domain="DM",
        rows=PATIENT,
        subject=path("%key"),
        keys=("USUBJID",),
        columns={
            "%in_study": IN_STUDY_AS,
            "SUBJID": first_of(var("%in_study"), RESOURCE_ID),
            # Reference dates: study treatment is the drug and protocol radiotherapy
            "RFXSTDTC": earliest("EX.EXSTDTC"),
            "RFXENDTC": latest("EX.EXENDTC", "EX.EXSTDTC"),
            "RFSTDTC": var("RFXSTDTC"),
            "RFENDTC": var("RFXENDTC"),
            "RFICDTC": iso8601(gather(CONSENT, CONSENTED, by=CONSENTING)),
            "RFPENDTC": latest(*_ENDS),
            "DTHDTC": iso8601(path("deceasedDateTime")),
            "DTHFL": when(
                first_of(path("deceasedDateTime"), path("deceasedBoolean")),
                "false",
                nothing(),
                when(first_of(path("deceasedDateTime"), path("deceasedBoolean")), (), const("Y")),
            ),
            # The site is what stands before the hyphen of the identifier in the study.
            "SITEID": first_of(
                apply(
                    var("%in_study"),
                    lambda s: s.str.extract(r"^([A-Za-z0-9]{1,10})-", expand=False).astype("str"),
                    "what stands before the hyphen of {}",
                ),
                path("managingOrganization.getReferenceKey(Organization)"),
            ),
            "BRTHDTC": iso8601(path("birthDate")),
            "AGE": apply(
                (var("BRTHDTC"), first_of(var("RFICDTC"), var("RFSTDTC"))),
                age_in_years,
                "full years from {} to {}; empty if a date is partial",
            ),
            "AGEU": when(
                apply(var("AGE"), lambda s: s.astype("str"), "{}"), (), const("YEARS")
            ).as_(Origin.ASSIGNED),
            "SEX": recode(
                first_of(
                    path(f"extension('{US_CORE}/us-core-birthsex').valueCode"), path("gender")
                ),
                "SEX",
            ),
            "RACE": gather(RACE, recode(concept("$this"), "RACE"), several="MULTIPLE"),
            "ETHNIC": recode(
                concept(
                    f"extension('{US_CORE}/us-core-ethnicity').extension('ombCategory').valueCoding"
                ),
                "ETHNIC",
            ),
            # One arm; who has none says why in ARMNRS
            "ARMNRS": when(var("RFXSTDTC"), (), nothing(), _NOT_TREATED),
            "ARMCD": when(
                var("ARMNRS"),
                ("SCREEN FAILURE", "NOT ASSIGNED"),
                nothing(),
                setting("treatment.armcd"),
            ),
            "ARM": when(var("ARMCD"), (), setting("treatment.arm")),
            "ACTARMCD": when(var("RFXSTDTC"), (), var("ARMCD")),
            "ACTARM": when(var("ACTARMCD"), (), var("ARM")),
            "COUNTRY": first_of(
                recode(path("address.country.first()"), "COUNTRY", quiet=True),
                apply(
                    path("address.country.first()"),
                    lambda s: s.where(s.str.fullmatch("[A-Z]{3}").fillna(False)),  # noqa: FBT003
                    "{} if it is an ISO 3166-1 alpha-3 code",
                ),
                setting("study.country"),
            ),
        },
    ),
)
