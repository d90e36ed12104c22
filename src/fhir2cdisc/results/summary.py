"""What a run made and found, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.table import Table

from fhir2cdisc.core.ledger import Status
from fhir2cdisc.core.package import Package


def summaries(package: Package) -> Iterator[Table]:
    """Resources by type and what became of them, records by dataset, issues by code."""
    if package.ledger is not None:
        yield _resources(package)
    yield _records(package)
    if len(package.issues):
        yield _issues(package)


def _table(title: str) -> Table:
    return Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", padding=(0, 1)
    )


def _resources(package: Package) -> Table:
    assert package.ledger is not None  # noqa: S101
    ledger = package.ledger
    counts = ledger.groupby(["resource_type", "status"]).size().unstack(fill_value=0)
    table = _table("Resources")
    table.add_column("type")
    table.add_column("read", justify="right")
    for status in Status:
        table.add_column(status.value, justify="right")
    for kind in counts.index:
        row = [int(counts.loc[kind].get(status, 0)) for status in Status]
        table.add_row(kind or "(none)", f"{sum(row):,}", *(f"{n:,}" if n else "" for n in row))
    return table


def _records(package: Package) -> Table:
    table = _table("Datasets")
    table.add_column("dataset")
    table.add_column("records", justify="right")
    table.add_column("label")
    for dataset in (*package.sdtm.values(), *package.adam.values()):
        table.add_row(dataset.name, f"{len(dataset.frame):,}", dataset.label)
    return table


def _issues(package: Package) -> Table:
    table = _table("Issues (details in issues.csv)")
    table.add_column("code")
    table.add_column("severity")
    table.add_column("count", justify="right")
    table.add_column("what")
    totals: dict[str, int] = {}
    kinds = {}
    for issue in package.issues:
        totals[issue.code] = totals.get(issue.code, 0) + issue.count
        kinds[issue.code] = issue.kind
    for code, count in totals.items():
        table.add_row(code, str(kinds[code].severity), f"{count:,}", kinds[code].title)
    return table


def endpoint_table(package: Package) -> Table:
    """The main endpoints with limits; all others and the methods are in endpoints.csv."""
    results = [
        row for row in package.endpoints_json if row["lower"] is not None and row["role"] == "main"
    ]
    table = _table(f"Endpoints ({len(package.endpoints_json)} rows in results/endpoints.csv)")
    table.add_column("endpoint")
    table.add_column("n / N", justify="right", no_wrap=True)
    level = package.run["settings"]["endpoints"]["confidence_level"]
    table.add_column(f"estimate ({level * 100:g} % limits)", justify="right", no_wrap=True)
    table.add_column("of")
    for row in results:
        counts = (row["numerator"], row["denominator"])
        share = " / ".join("-" if n is None else str(n) for n in counts)
        # What stands before the colon is the name of the analysis set.
        table.add_row(row["endpoint"], share, _estimate(row), row["analysis_set"].partition(":")[0])
    return table


def _estimate(row: Mapping[str, Any]) -> str:
    if row["lower"] is None:
        return ""
    # A ratio has no unit, and needs more decimals than percent and months.
    digits = 1 if row["unit"] else 3
    value, low, high = (_number(row[name], digits) for name in ("estimate", "lower", "upper"))
    unit = f" {row['unit']}" if value != "NE" and row["unit"] else ""
    return f"{value}{unit} ({low}, {high})"


def _number(value: float | str, digits: int) -> str:
    return value if isinstance(value, str) else f"{value:.{digits}f}"
