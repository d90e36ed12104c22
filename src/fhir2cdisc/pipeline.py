"""The flow, on one screen: FHIR -> flat tables -> SDTM -> ADaM -> endpoints -> package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from fhir2cdisc import __version__
from fhir2cdisc.adam import DERIVATIONS
from fhir2cdisc.adam.cutoff import records_until
from fhir2cdisc.adam.datasets.adsl import ADSL
from fhir2cdisc.adam.parameters import definitions
from fhir2cdisc.adam.whole import report_evaluators, whole_study
from fhir2cdisc.conformance import CHECKS
from fhir2cdisc.conformance.check import run_checks
from fhir2cdisc.converters.fhir_to_flat import Flats
from fhir2cdisc.converters.flat_to_sdtm import (
    Conversion,
    convert_domain,
    finish_domains,
    identify_subjects,
    settle_ledger,
)
from fhir2cdisc.converters.registry import mark_treatment, register
from fhir2cdisc.converters.sdtm_to_adam import derive_datasets
from fhir2cdisc.core.dataset import Dataset
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.package import Package
from fhir2cdisc.core.plan import ReadingPlan, plan_tables
from fhir2cdisc.engines.local import Progress, read_sources
from fhir2cdisc.errors import SourceError, StudyError
from fhir2cdisc.mappings import MAPPINGS
from fhir2cdisc.mappings.dm import SUBJECTS
from fhir2cdisc.mappings.ex import STUDY_DRUG
from fhir2cdisc.mappings.lesions import LESIONS
from fhir2cdisc.mappings.relations import RELATIONS, TREATS
from fhir2cdisc.mappings.sources import SET_ASIDE
from fhir2cdisc.mappings.status import GATES, IDENTITY, MODIFIER_EXTENSIONS
from fhir2cdisc.protocol import settings_in_force
from fhir2cdisc.readers.sdtm import find_datasets, read_datasets
from fhir2cdisc.results.concordance import compare_responses
from fhir2cdisc.results.endpoint_table import EndpointTable
from fhir2cdisc.results.endpoints import compute_endpoints
from fhir2cdisc.sdtm.relrec import relate
from fhir2cdisc.study import Study
from fhir2cdisc.terminology.additions import check_additions, nearest
from fhir2cdisc.terminology.terms import Terminology


def reading_plan(study: Study) -> ReadingPlan:
    """What is to be read for all mappings of a study."""
    mappings = [mapping for domain in study.customise(MAPPINGS) for mapping in domain]
    wanted = LESIONS.wanted | SUBJECTS.wanted | STUDY_DRUG.wanted
    return ReadingPlan(
        tables=plan_tables(mappings, wanted),
        gates=GATES,
        identity=IDENTITY,
        set_aside=SET_ASIDE,
        needs_id=frozenset({SUBJECTS.rows.resource}),
        modifier_extensions=MODIFIER_EXTENSIONS | set(study.fhir.modifier_extensions),
    )


def check_study(study: Study) -> None:
    """Refuse a study that names a variable which no analysis dataset will have.

    Raises:
        StudyError: the grouping variable is no variable of ADSL.
    """
    name = study.endpoints.group
    if name and name not in ADSL.columns:
        near = nearest(name, ADSL.columns)
        file = study.file or "study.toml"
        raise StudyError(f"{file}: ADSL has no variable {name}{near}  @ endpoints.group")


def terminology(study: Study) -> Terminology:
    """The package's terminology with the study's on top.

    Raises:
        StudyError: what the study adds cannot be read, or has no effect or no place in a codelist.
    """
    mappings = [mapping for domain in study.customise(MAPPINGS) for mapping in domain]
    in_use = frozenset[str]().union(*(mapping.codelists for mapping in mappings))
    check_additions(study.file, study.aliases, in_use - {"VISITNUM"})
    visits = {visit: f"{number:.15g}" for visit, number in study.visits.items()}
    folder = study.file.parent if study.file is not None else None
    return Terminology(folder, {**study.aliases, "VISITNUM": visits})


def convert(
    sources: Sequence[Path], study: Study, jobs: int = 1, progress: Progress | None = None
) -> Package:
    """FHIR files and folders -> SDTM, ADaM and endpoints.

    Raises:
        SourceError: a source is missing or holds no FHIR.
        StudyError: the columns or the terminology of the study cannot be used, or it groups by
            no variable.
    """
    check_study(study)
    issues = Issues()
    terms = terminology(study)
    plan = reading_plan(study)
    flats, files = read_sources(sources, plan, terms.valuesets, issues, jobs, progress)
    sdtm, ledger = tabulate(flats, study, terms, issues)
    frames = {name: d.frame for name, d in sdtm.items()}
    adam, endpoints, listings = derive(frames, study, terms, issues)
    entries = {str(name): int(n) for name, n in ledger["file"].value_counts().items()}
    run = run_record(study, files, entries, sdtm | adam)
    counts = (ledger["resource_type"] + "/" + ledger["status"]).value_counts().sort_index()
    run["resources"] = {str(name): int(count) for name, count in counts.items()}
    return Package(
        study=study.id,
        sdtm=sdtm,
        adam=adam,
        endpoints=endpoints.to_frame(),
        endpoints_json=endpoints.to_json_object(),
        listings=listings,
        issues=issues,
        ledger=ledger,
        protocol=pd.DataFrame(settings_in_force(study)),
        run=run,
    )


def tabulate(
    flats: Flats, study: Study, terms: Terminology, issues: Issues
) -> tuple[dict[str, Dataset], pd.DataFrame]:
    """Flat tables -> the SDTM datasets and the ledger."""
    conversion = Conversion(study.id, terms, issues, flats, study.texts())
    identify_subjects(conversion, SUBJECTS)
    mark_treatment(STUDY_DRUG, conversion.context("EX"), study.treatment.drugs)
    links = register(LESIONS, conversion.context("TU"), study.radiotherapy.protocol)
    domains = study.customise(MAPPINGS)
    for mappings in domains:
        convert_domain(conversion, mappings)
    treated = conversion.related_records(links, TREATS)
    sdtm = finish_domains(conversion, domains)
    sdtm |= relate(RELATIONS, TREATS, sdtm, treated, study.id)
    return sdtm, settle_ledger(conversion)


def analyse(folder: Path, study: Study) -> Package:
    """SDTM that already exists -> ADaM and endpoints.

    Raises:
        SourceError: a folder without datasets, or a dataset that cannot be read.
        StudyError: the terminology of the study cannot be used, or it groups by no variable.
    """
    check_study(study)
    issues = Issues()
    terms = terminology(study)
    files = find_datasets(folder, issues)
    if "DM" not in files:
        raise SourceError(f"{folder}: no DM; the analysis needs the subjects of the study")
    sdtm = read_datasets(files)
    if study.id == Study().id and len(sdtm["DM"]):
        study = study.named(str(sdtm["DM"]["STUDYID"].iloc[0]))
    adam, endpoints, listings = derive(sdtm, study, terms, issues)
    return Package(
        study=study.id,
        sdtm={},
        adam=adam,
        endpoints=endpoints.to_frame(),
        endpoints_json=endpoints.to_json_object(),
        listings=listings,
        issues=issues,
        ledger=None,
        protocol=pd.DataFrame(settings_in_force(study)),
        run=run_record(
            study,
            {file.name: file for file in files.values()},
            {files[name].name: len(frame) for name, frame in sdtm.items()},
            adam,
        ),
    )


def derive(
    sdtm: Mapping[str, pd.DataFrame], study: Study, terms: Terminology, issues: Issues
) -> tuple[dict[str, Dataset], EndpointTable, dict[str, pd.DataFrame]]:
    """SDTM frames -> the analysis datasets, the endpoint table, and listings by name."""
    used = records_until(sdtm, study.study.data_cutoff, issues)
    report_evaluators(used, study, issues)
    facts = whole_study(used, study)
    adam = derive_datasets(DERIVATIONS, {**used, **facts}, study, terms, issues)
    frames = {name: dataset.frame for name, dataset in adam.items()}
    concordance = compare_responses({**used, **frames}, study)
    frames["CONCORDANCE"] = concordance
    endpoints = compute_endpoints(frames, study, issues, definitions(study))
    listings = {"findings": run_checks(CHECKS, {**sdtm, **frames}, study, issues)}
    if len(concordance):
        listings["concordance"] = concordance
    return {name: d for name, d in adam.items() if len(d.frame)}, endpoints, listings


def run_record(
    study: Study, files: Mapping[str, Path], entries: Mapping[str, int],
    datasets: Mapping[str, Dataset],
) -> dict[str, Any]:  # fmt: skip
    """Versions, hashes of the input, settings in force, counts: the same for the same run.

    `entries` counts the resources or records of each file; one that is not there has none.
    """
    libraries = ("fhir.resources", "msgspec", "numpy", "pandas", "pyarrow", "scipy", "statsmodels")
    return {
        "fhir2cdisc": __version__,
        "libraries": {name: version(name) for name in libraries},
        "standards": {"sdtmig": "3.4", "adamig": "1.3", "ct": "2025-03-28"},
        "inputs": [
            {"file": name, "sha256": hash_of(path), "entries": int(entries.get(name, 0))}
            for name, path in sorted(files.items())
        ],
        "settings": study.settings(),
        "records": {name: len(dataset.frame) for name, dataset in sorted(datasets.items())},
    }


def hash_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
