"""One subject's records in FHIR R4: person, participation, treatment, adverse events.

References: mCODE STU4; CodeX Radiation Therapy STU2; Adverse Event Clinical Research R4
backport; the forms accepted by this project (docs/input.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir2cdisc.simulate import codes
from fhir2cdisc.simulate.course import Course, Infusion, Irradiation, Lesion, Toxicity
from fhir2cdisc.simulate.dice import Dice
from fhir2cdisc.simulate.elements import Chart, Json, coded, extension, quantity, reference
from fhir2cdisc.simulate.everyday import everyday_resources, statement, survival_contacts
from fhir2cdisc.simulate.tumour import located, tracking_uid, tumour_id, tumour_resources

_PTV, _GTV, _AT_RISK = "228793007", "228791009", "1162586008"
_COURSE, _PHASE = "1217123003", "1222565005"
_VOLUME_SUFFIX = {_PTV: "ptv", _GTV: "gtv", _AT_RISK: "oar"}


def study_resources() -> Iterator[Json]:
    """What belongs to the study and its sites, not to a subject."""
    meta: Json = {"versionId": "1", "lastUpdated": "2024-01-02T09:00:00Z"}
    yield {
        "resourceType": "ResearchStudy",
        "id": codes.STUDY_REF.split("/")[1],
        "meta": meta,
        "identifier": [{"use": "official", "value": codes.STUDY_ID}],
        "title": codes.STUDY_TITLE,
        "status": "active",
        "phase": coded(codes.HL7 + "research-study-phase", "phase-2"),
        "arm": [{"name": codes.ARM}],
    }
    for site, country in codes.SITE_COUNTRY.items():
        yield {
            "resourceType": "Organization",
            "id": f"site-{site}",
            "meta": meta,
            "identifier": [{"value": site}],
            "name": f"Synthetic Cancer Centre {site}",
            "address": [{"country": country}],
        }
        for job in ("oncologist", "radiologist"):
            yield {
                "resourceType": "Practitioner",
                "id": f"site-{site}-{job}",
                "meta": meta,
                "name": [{"text": f"The {job} of site {site}"}],
            }


def subject_resources(course: Course, dice: Dice) -> Iterator[Json]:
    """All records of one subject; `dice` continues the stream that drew the course."""
    chart = Chart(course)
    yield from _participation(chart, dice)
    yield from tumour_resources(chart, dice)
    yield from _radiotherapy(chart, dice)
    for number, infusion in enumerate(course.infusions, start=1):
        yield _infusion(chart, number, infusion)
    yield from _later(chart)
    for number, toxicity in enumerate(course.toxicities, start=1):
        yield _adverse_event(chart, number, toxicity, dice)
    yield from survival_contacts(chart, dice)
    yield from everyday_resources(chart, dice)


# --- Person and participation ------------------------------------------------------------


def _participation(chart: Chart, dice: Dice) -> Iterator[Json]:
    course = chart.course
    country = codes.SITE_COUNTRY[course.site]
    patient = chart.start("Patient", "", 0, codes.MCODE + "cancer-patient")
    patient["id"] = course.uid
    race, race_text = dice.pick(codes.RACES[country])
    ethnicity = "2135-2" if country == "USA" and dice.chance(0.2) else "2186-5"
    patient["extension"] = [
        _us_core("race", race, race_text),
        _us_core(
            "ethnicity",
            ethnicity,
            "Hispanic or Latino" if ethnicity == "2135-2" else "Not Hispanic or Latino",
        ),
    ]
    patient["identifier"] = [
        {
            "use": "usual",
            "type": coded(codes.HL7 + "v2-0203", "MR"),
            "system": f"http://site{course.site}.example.org/mrn",
            "value": f"{codes.MRN_PREFIX}{course.number:05d}",
        }
    ]
    family, given = dice.pick(codes.FAMILY_NAMES), dice.pick(codes.GIVEN_NAMES[course.sex])
    patient["name"] = [{"family": family, "given": [given]}]
    patient["gender"] = course.sex
    # Born on a random day of the year that makes `age` right at enrolment.
    patient["birthDate"] = chart.date(-int(course.age * 365.25) - dice.between(2, 363))
    patient["address"] = [{"country": country}]
    if course.death is not None:
        _decease(chart, patient, dice)
    elif dice.chance(0.1):
        patient["deceasedBoolean"] = False
    yield patient

    consent = chart.start("Consent", "consent", course.consent)
    consent["status"] = "active"
    consent["scope"] = coded(codes.HL7 + "consentscope", "research")
    consent["category"] = [coded(codes.LOINC, "59284-0")]
    consent["patient"] = chart.subject
    consent["dateTime"] = chart.when(course.consent, 9 * 60 + 30)
    consent["policyRule"] = {"text": "Protocol consent form 2.0"}
    yield consent
    yield _research_subject(chart, f"{given} {family}")

    cancer = chart.start(
        "Condition", "cancer", course.consent, codes.MCODE + "primary-cancer-condition"
    )
    cancer["clinicalStatus"] = coded(codes.HL7 + "condition-clinical", "active")
    cancer["verificationStatus"] = coded(codes.HL7 + "condition-ver-status", "confirmed")
    cancer["category"] = [coded(codes.HL7 + "condition-category", "problem-list-item")]
    cancer["code"] = coded(codes.SCT, dice.pick(codes.CANCERS))
    cancer["subject"] = chart.subject
    cancer["onsetDateTime"] = chart.date(course.consent - dice.between(90, 1400))[:7]
    yield cancer


def _us_core(name: str, code: str, text: str) -> Json:
    return {
        "url": codes.US_CORE + name,
        "extension": [
            extension(
                "ombCategory",
                valueCoding={"system": "urn:oid:2.16.840.1.113883.6.238", "code": code},
            ),
            extension("text", valueString=text),
        ],
    }


def _decease(chart: Chart, patient: Json, dice: Dice) -> None:
    death = chart.course.death or 0
    known = dice.weighted(("day", "time", "month", "no date"), (0.72, 0.16, 0.06, 0.06))
    if known == "no date":
        patient["deceasedBoolean"] = True
    elif known == "time":
        patient["deceasedDateTime"] = chart.time(death, dice.between(0, 1439))
    else:
        patient["deceasedDateTime"] = chart.date(death)[: 7 if known == "month" else 10]


def _research_subject(chart: Chart, name: str) -> Json:
    course = chart.course
    subject = chart.start("ResearchSubject", "subject", max(course.limit, 0))
    subject["identifier"] = [{"use": "usual", "value": course.subjid}]
    subject["status"] = {None: "follow-up", "WITHDRAWAL BY SUBJECT": "withdrawn"}.get(
        course.reason, "off-study"
    )
    subject["period"] = {"start": chart.date(0)}
    if course.reason is not None:
        subject["period"]["end"] = chart.date(course.limit)
        subject["extension"] = [
            extension(
                codes.OWN + "off-study-reason",
                valueCodeableConcept=coded(
                    codes.NCIT, codes.OFF_STUDY[course.reason], course.reason
                ),
            )
        ]
    subject["study"] = {"reference": codes.STUDY_REF}
    subject["individual"] = chart.subject
    if course.site == "04":
        subject["individual"] = {**chart.subject, "display": name}
    subject["assignedArm"] = codes.ARM
    if course.treated:
        subject["actualArm"] = codes.ARM
    subject["consent"] = reference("Consent", f"{course.uid}-consent")
    return subject


# --- Radiotherapy --------------------------------------------------------------------------


def _radiotherapy(chart: Chart, dice: Dice) -> Iterator[Json]:
    course = chart.course
    for number, irradiation in enumerate(course.irradiations, start=1):
        volumes: list[tuple[str, int]] = []
        for lesion in irradiation.lesions:
            kinds = (_PTV, _GTV) if course.number % 7 == 1 else (_PTV,)
            for kind in kinds:
                if course.evidence == "same" and kind == _PTV:
                    volumes.append((tumour_id(chart, lesion), _dose(irradiation)))
                    continue
                volume = _volume(chart, number, lesion, kind)
                volumes.append((volume["id"], _dose(irradiation)))
                yield volume
        if course.number % 2 and number == 1:
            volume = _organ_at_risk(chart, irradiation, dice)
            volumes.append((volume["id"], dice.between(100, 700)))
            yield volume
        yield from _course(chart, number, irradiation, volumes)


def _dose(irradiation: Irradiation) -> int:
    return irradiation.fractions.dose * irradiation.fractions.delivered


def _volume(chart: Chart, number: int, lesion: Lesion, kind: str) -> Json:
    suffix = _VOLUME_SUFFIX[kind]
    volume = chart.start(
        "BodyStructure",
        f"{suffix}-{number}-{lesion.label.lower()}",
        0,
        codes.MCODE + "radiotherapy-volume",
    )
    name = f"{suffix.upper()}{number}_{lesion.organ.name}"
    volume["identifier"] = [
        {"use": "usual", "value": name + (f"_{lesion.side[0].upper()}" if lesion.side else "")}
    ]
    if chart.course.evidence == "uid":
        volume["identifier"].append(tracking_uid(chart, lesion))
    volume["morphology"] = coded(codes.SCT, kind)
    located(volume, lesion)
    volume["patient"] = chart.subject
    return volume


def _organ_at_risk(chart: Chart, irradiation: Irradiation, dice: Dice) -> Json:
    organ = dice.pick(codes.AT_RISK)
    side = irradiation.lesions[0].side or "left"
    lesion = Lesion("T00", "TARGET", organ, side if organ.paired else "")
    volume = chart.start("BodyStructure", "oar-1", 0, codes.MCODE + "radiotherapy-volume")
    volume["identifier"] = [{"use": "usual", "value": f"OAR_{organ.name}"}]
    volume["morphology"] = coded(codes.SCT, _AT_RISK)
    located(volume, lesion)
    volume["patient"] = chart.subject
    return volume


def _course(
    chart: Chart, number: int, irradiation: Irradiation, volumes: list[tuple[str, int]]
) -> Iterator[Json]:
    """The course summary, its phases, and for some subjects its earlier version."""
    name, official = f"rt{number}", str(number)
    fractions = irradiation.fractions
    updated = chart.course.number % 5 == 2
    whole = [(volume, dose, fractions.delivered) for volume, dose in volumes]
    if updated:
        # What the system sent after the first fraction: other id, same official identifier.
        first = [(volume, dose // fractions.delivered, 1) for volume, dose in volumes]
        earlier = _procedure(
            chart,
            irradiation,
            first,
            identity=f"{name}-started",
            official=official,
            code=_COURSE,
        )
        earlier["status"] = "in-progress"
        del earlier["performedPeriod"]["end"]
        yield earlier
    summary = _procedure(
        chart,
        irradiation,
        whole,
        identity=name,
        official=official,
        code=_COURSE,
        version="2" if updated else "1",
    )
    if fractions.delivered < fractions.planned:
        summary["status"] = "stopped"
    yield summary

    phases = 2 if chart.course.number % 4 == 2 and fractions.delivered > 2 else 1
    for phase in range(1, phases + 1):
        count = fractions.delivered - 1 if phases == 2 and phase == 1 else fractions.delivered
        count = 1 if phase == 2 else count
        part = [(volume, dose * count // fractions.delivered, count) for volume, dose in volumes]
        treated = _procedure(
            chart,
            irradiation,
            part,
            identity=f"{name}-phase{phase}",
            official=f"{number}.{phase}",
            code=_PHASE,
        )
        treated["partOf"] = [reference("Procedure", summary["id"])]
        yield treated


def _procedure(
    chart: Chart,
    irradiation: Irradiation,
    doses: list[tuple[str, int, int]],
    *,
    identity: str,
    official: str,
    code: str,
    version: str = "1",
) -> Json:
    course = chart.course
    is_course = code == _COURSE
    profile = (
        codes.MCODE + "radiotherapy-course-summary"
        if is_course
        else codes.CODEX + "radiotherapy-treated-phase"
    )
    procedure = chart.start("Procedure", identity, irradiation.end, profile, version=version)
    procedure["identifier"] = [
        {
            "use": "official",
            "system": codes.DICOM_UID,
            "value": f"urn:oid:2.25.{int(course.uid, 16)}.9.{official}",
        }
    ]
    extensions = []
    if is_course:
        technique = "441799006" if irradiation.fractions.dose == 800 else "1162782007"
        extensions += [
            extension(
                codes.MCODE + "procedure-intent",
                valueCodeableConcept=coded(codes.SCT, "363676003"),
            ),
            extension(
                codes.MCODE + "radiotherapy-modality-and-technique",
                extension=[
                    extension(
                        codes.MCODE + "radiotherapy-modality",
                        valueCodeableConcept=coded(codes.SCT, "1156506007"),
                    ),
                    extension(
                        codes.MCODE + "radiotherapy-technique",
                        valueCodeableConcept=coded(codes.SCT, technique),
                    ),
                ],
            ),
            extension(codes.MCODE + "radiotherapy-sessions", valueUnsignedInt=doses[0][2]),
        ]
        if irradiation is not course.later_radiation:
            extensions.append(chart.protocol)
        if course.evidence == "target":
            extensions += [
                extension(
                    codes.TARGET_STRUCTURE,
                    valueReference=reference("BodyStructure", tumour_id(chart, lesion)),
                )
                for lesion in irradiation.lesions
            ]
    extensions += [
        extension(
            codes.MCODE + "radiotherapy-dose-delivered-to-volume",
            extension=[
                extension("volume", valueReference=reference("BodyStructure", volume)),
                extension(
                    "totalDoseDelivered",
                    valueQuantity={"value": dose, "system": codes.UCUM, "code": "cGy"},
                ),
                extension("fractionsDelivered", valueUnsignedInt=count),
            ],
        )
        for volume, dose, count in doses
    ]
    procedure["extension"] = extensions
    procedure["status"] = "completed"
    procedure["category"] = coded(codes.SCT, "1287742003")
    procedure["code"] = coded(codes.SCT, code)
    procedure["subject"] = chart.subject
    procedure["performedPeriod"] = {
        "start": chart.when(irradiation.start, 10 * 60),
        "end": chart.when(irradiation.end, 10 * 60 + 25),
    }
    procedure["reasonReference"] = [chart.condition]
    organs = dict.fromkeys(lesion.organ.code for lesion in irradiation.lesions)
    procedure["bodySite"] = [coded(codes.SCT, organ) for organ in organs]
    return procedure


# --- Drugs -----------------------------------------------------------------------------------


def _infusion(chart: Chart, number: int, infusion: Infusion) -> Json:
    resource = chart.start(
        "MedicationAdministration",
        f"pd1-{number}",
        infusion.day,
        codes.MCODE + "cancer-related-medication-administration",
    )
    resource["extension"] = [chart.protocol]
    resource["status"] = infusion.status
    if infusion.status == "not-done":
        resource["statusReason"] = [{"text": "Held for toxicity"}]
    resource["medicationCodeableConcept"] = coded(codes.RXNORM, "1547545", "Pembrolizumab")
    resource["subject"] = chart.subject
    if infusion.status == "not-done" or chart.course.number % 4 == 3:
        resource["effectiveDateTime"] = chart.when(infusion.day, infusion.minute)
    else:
        resource["effectivePeriod"] = {
            "start": chart.time(infusion.day, infusion.minute),
            "end": chart.time(infusion.day, infusion.minute + 30),
        }
    resource["reasonReference"] = [chart.condition]
    if infusion.status != "not-done":
        dose = "112.5" if infusion.status == "stopped" else "200"
        resource["dosage"] = {
            "route": coded(codes.SCT, "47625008"),
            "dose": quantity(dose, "mg"),
        }
    return resource


def _later(chart: Chart) -> Iterator[Json]:
    """Anticancer therapy after, seldom before, progression: nothing here is protocol treatment."""
    course = chart.course
    if course.later_drug is not None:
        day, drug = course.later_drug
        therapy = statement(chart, "later-1", drug, day, "ANTICANCER")
        therapy["reasonReference"] = [chart.condition]
        yield therapy
    if course.later_radiation is not None:
        lesion = course.later_radiation.lesions[0]
        volume = _volume(chart, 9, lesion, _PTV)
        yield volume
        dose = (volume["id"], _dose(course.later_radiation))
        yield from _course(chart, 9, course.later_radiation, [dose])


# --- Adverse events --------------------------------------------------------------------------


def _adverse_event(chart: Chart, number: int, toxicity: Toxicity, dice: Dice) -> Json:
    event = chart.start(
        "AdverseEvent",
        f"ae-{number}",
        toxicity.day,
        codes.BACKPORT + "AdverseEvent-clinical-research",
    )
    event["modifierExtension"] = [extension(codes.BACKPORT + "status", valueCode="completed")]
    extensions: list[Json] = []
    if toxicity.grade is not None:
        extensions.append(
            extension(
                codes.BACKPORT + "ae-grade",
                valueCodeableConcept=coded(codes.NCIT, codes.GRADE[toxicity.grade]),
            )
        )
    if toxicity.end is not None:
        end = chart.date(toxicity.end)[: 7 if dice.chance(0.04) else 10]
        extensions.append(extension(codes.BACKPORT + "resolve-date", valueDateTime=end))
    if toxicity.serious:
        extensions += [
            extension(
                codes.BACKPORT + "seriousness-criteria",
                extension=[
                    extension("criterionCode", valueCodeableConcept=coded(codes.NCIT, code)),
                    extension("criterionPresent", valueBoolean=criterion == toxicity.serious),
                ],
            )
            for criterion, code in codes.SERIOUS.items()
        ]
    extensions += _suspects(chart, toxicity, dice)
    extensions.append(
        extension(
            codes.BACKPORT + "mitigating-action",
            extension=[
                extension(
                    "item",
                    valueCodeableConcept=coded(codes.NCIT, codes.ACTION[toxicity.action]),
                )
            ],
        )
    )
    event["extension"] = extensions
    event["actuality"] = "actual"
    term = codes.DICTIONARY_TERMS.get(toxicity.term, toxicity.term)
    event["event"] = {
        "coding": [{"system": codes.DICTIONARY, "display": term}],
        "text": toxicity.term,
    }
    event["subject"] = chart.subject
    event["date"] = chart.date(toxicity.day)[: toxicity.precision]
    event["seriousness"] = coded(
        codes.HL7 + "adverse-event-seriousness",
        "serious" if toxicity.serious else "non-serious",
    )
    event["outcome"] = coded(codes.NCIT, codes.OUTCOME[toxicity.outcome])
    event["study"] = [{"reference": codes.STUDY_REF}]
    return event


def _suspects(chart: Chart, toxicity: Toxicity, dice: Dice) -> list[Json]:
    """Relation to the antibody and to radiotherapy: one suspect entity each."""
    course = chart.course
    if toxicity.day < course.first_treatment:
        return []
    given = [
        number
        for number, infusion in enumerate(course.infusions, start=1)
        if infusion.day <= toxicity.day and infusion.status != "not-done"
    ]
    drug = f"MedicationAdministration/{course.uid}-pd1-{given[-1] if given else 1}"
    relations = {
        drug: ("drug", "both"),
        f"Procedure/{course.uid}-rt1": ("radiation", "both"),
    }
    suspects = []
    for entity, causes in relations.items():
        if toxicity.cause in causes:
            degree = dice.pick(("possible", "related"))
        else:
            degree = dice.pick(("none", "unlikely"))
        suspects.append(
            extension(
                codes.BACKPORT + "suspect-entity",
                extension=[
                    extension("instance", valueReference={"reference": entity}),
                    extension(
                        "causality",
                        extension=[
                            extension(
                                "entityRelatedness",
                                valueCodeableConcept=coded(codes.NCIT, codes.RELATED[degree]),
                            )
                        ],
                    ),
                ],
            )
        )
    return suspects
