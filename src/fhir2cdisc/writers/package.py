"""A package -> the output folder, whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fhir2cdisc.core.dataset import Dataset
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.package import Package
from fhir2cdisc.core.text import max_lengths
from fhir2cdisc.errors import OutputError
from fhir2cdisc.writers.dataset_json import write_dataset_json
from fhir2cdisc.writers.protocol_page import protocol_page
from fhir2cdisc.writers.tables import write_csv, write_parquet
from fhir2cdisc.writers.xpt import write_xpt

_OURS = "run.json"
_WRITTEN = {"sdtm", "adam", "results", "trace", "ledger.csv", "issues.csv", _OURS}


def write_package(package: Package, out: Path, formats: Sequence[str]) -> None:
    """Write datasets, results, ledger, issues, trace and run record to the folder `out`.

    Everything is written beside `out` and takes its place at the end; a folder of an earlier run
    is replaced, any other folder that is not empty is left alone.

    Raises:
        OutputError: the folder cannot be written, or holds something else.
    """
    out = out.resolve()
    check_out(out)
    beside = aside = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        _write_all(package, beside / "new", formats)
        if out.exists():
            aside = beside / "old"
            out.rename(aside)
        (beside / "new").rename(out)
    except OSError as error:
        if aside is not None and aside.exists() and not out.exists():
            aside.rename(out)
        reason = error.strerror or str(error)
        raise OutputError(f"{out}: cannot be written ({reason}); choose another --out") from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)


def check_out(out: Path, sources: Sequence[Path] = ()) -> None:
    """Refuse a folder that is not ours to replace, before any work is done.

    Raises:
        OutputError: `out` is a file, holds something else than an earlier run, or holds a source.
    """
    out = out.resolve()
    if out.is_file():
        raise OutputError(f"{out}: is a file; --out names a folder")
    if out == Path.cwd():
        raise OutputError(f"{out}: is the folder you are in; choose another --out")
    for source in (path.resolve() for path in sources):
        if out == source or out in source.parents:
            raise OutputError(f"{out}: holds the source {source}; choose another --out")
    if out.is_dir() and any(out.iterdir()) and not _is_ours(out):
        raise OutputError(
            f"{out}: holds files that are not of an earlier run; choose an empty or a new folder"
        )


def _is_ours(folder: Path) -> bool:
    """Whether everything in the folder was written by an earlier run."""
    if not {path.name for path in folder.iterdir()} <= _WRITTEN:
        return False
    try:
        record = json.loads((folder / _OURS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and "fhir2cdisc" in record


def _write_all(package: Package, folder: Path, formats: Sequence[str]) -> None:
    folder.mkdir()
    for name, datasets in (("sdtm", package.sdtm), ("adam", package.adam)):
        if datasets:
            (folder / name).mkdir()
            _write_datasets(package.study, datasets, folder / name, formats)
    results = folder / "results"
    results.mkdir()
    write_csv(results / "endpoints.csv", package.endpoints)
    _write_json(results / "endpoints.json", package.endpoints_json)
    write_csv(results / "protocol.csv", package.protocol)
    page = protocol_page(package.study, package.protocol)
    (results / "protocol.md").write_text(page, encoding="utf-8", newline="\n")
    for name, listing in package.listings.items():
        write_csv(results / f"{name}.csv", listing)
    write_csv(folder / "issues.csv", issue_table(package.issues))
    if package.ledger is not None:
        write_csv(folder / "ledger.csv", package.ledger)
    (folder / "trace").mkdir()
    for dataset in (*package.sdtm.values(), *package.adam.values()):
        table = trace_table(dataset)
        if len(table):  # RELREC relates records that have a trace of their own
            write_parquet(folder / "trace" / f"{dataset.name.lower()}.parquet", table, {})
    _write_json(folder / _OURS, package.run)


def _write_datasets(
    study: str, datasets: Mapping[str, Dataset], folder: Path, formats: Sequence[str]
) -> None:
    """One file a dataset and format; a Char variable has one length in the whole study."""
    lengths = max_lengths({name: dataset.frame for name, dataset in datasets.items()})
    for dataset in datasets.values():
        for name in formats:
            _write_dataset(
                study, dataset, folder / dataset.name.lower(), name, lengths[dataset.name]
            )


def _write_dataset(
    study: str, dataset: Dataset, path: Path, form: str, lengths: Mapping[str, int]
) -> None:
    frame, labels = dataset.frame, dataset.labels
    if form == "xpt":
        write_xpt(path.with_suffix(".xpt"), dataset.name, dataset.label, frame, labels, lengths, {})
    elif form == "dataset-json":
        write_dataset_json(
            path.with_suffix(".json"), dataset.name, dataset.label, frame, labels, {}, dataset.keys,
            study_oid=study, lengths=lengths,
        )  # fmt: skip
    elif form == "parquet":
        write_parquet(path.with_suffix(".parquet"), frame, labels)
    else:
        write_csv(path.with_suffix(".csv"), frame)


def _write_json(path: Path, content: object) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=False)
    path.write_text(text + "\n", encoding="utf-8")


def issue_table(issues: Issues) -> pd.DataFrame:
    """The issues with severity, title and hint, one row each."""
    rows = [
        {
            "code": issue.code,
            "severity": str(issue.kind.severity),
            "title": issue.kind.title,
            "message": issue.message,
            "count": float(issue.count),
            "samples": "; ".join(issue.samples),
            "hint": issue.kind.hint,
        }
        for issue in issues
    ]
    names = ["code", "severity", "title", "message", "count", "samples", "hint"]
    table = pd.DataFrame(rows, columns=names)
    return table.astype({name: "float64" if name == "count" else "str" for name in names})


def trace_table(dataset: Dataset) -> pd.DataFrame:
    """Dataset, key of the record (USUBJID and --SEQ or ASEQ, else its row) and its parents."""
    frame, trace = dataset.frame, dataset.trace
    sequence = next((n for n in (f"{dataset.name}SEQ", "ASEQ") if n in frame), None)
    row = trace["row"].to_numpy()
    number = frame[sequence].to_numpy()[row] if sequence else row + 1.0
    return pd.DataFrame(
        {
            "dataset": pd.Series(dataset.name, index=trace.index, dtype="str"),
            "usubjid": pd.Series(frame["USUBJID"].to_numpy()[row], dtype="str"),
            "sequence": pd.Series(number, dtype="float64"),
            "parent_kind": trace["parent_kind"].astype("str"),
            "parent": trace["parent"].astype("str"),
            "parent_key": trace["parent_key"].astype("str"),
            "version": trace["version"].astype("str"),
        }
    )
