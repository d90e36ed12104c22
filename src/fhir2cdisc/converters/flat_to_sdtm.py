"""Flat tables -> SDTM datasets: evaluate declarations, column by column.

1. The subjects: which Patient is which USUBJID.
2. The columns of every mapping over its flat table; records without a required value, without a
   subject or given twice are left out, with the reason for the ledger.
3. What needs the other datasets: DM, then study days, flags and --SEQ of every domain.
4. Supplemental qualifiers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from fhir2cdisc.converters.fhir_to_flat import Flats
from fhir2cdisc.core.column import Column, Context, Origin, Terms
from fhir2cdisc.core.dataset import TRACE_COLUMNS, Dataset
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.core.ledger import LEDGER_COLUMNS, Status
from fhir2cdisc.core.mapping import DomainMapping, Subjects
from fhir2cdisc.core.text import is_char, to_ascii
from fhir2cdisc.core.verbs import const, var
from fhir2cdisc.sdtm import shared, standard
from fhir2cdisc.sdtm.relrec import RecordRelation
from fhir2cdisc.sdtm.supp import split_long_text, supplemental_qualifiers

# The range of numbers of a SAS transport file (TS-140).
LARGEST, SMALLEST = 7.2e75, 5.4e-79

NO_SOURCE = const("").as_(Origin.ASSIGNED, "Expected variable without a source in the data.")


@dataclass(slots=True)
class Conversion:
    """What the engine collects on the way: records, their sources, and reasons for the ledger."""

    study: str
    terms: Terms
    issues: Issues
    flats: Flats
    settings: Mapping[str, str]
    subjects: pd.Series = field(default_factory=lambda: pd.Series(dtype="str"))
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    sources: dict[str, pd.DataFrame] = field(default_factory=dict)
    columns: dict[str, dict[str, Column]] = field(default_factory=dict)
    reasons: list[tuple[np.ndarray, Status, str]] = field(default_factory=list)
    without_subject: set[int] = field(default_factory=set)

    def context(self, where: str) -> Context:
        return Context(
            terms=self.terms,
            flats=self.flats.tables,
            frames=self.frames,
            issues=self.issues,
            settings=self.settings,
            where=where,
        )

    def related_records(self, links: pd.DataFrame, relation: RecordRelation) -> pd.DataFrame:
        """The registry's links by what the records of `relation` are named by.

        USUBJID, ``left`` (the site) and ``right`` (the name that records of the right domain give
        to the lesion).
        """
        domain, name = relation.right, relation.right_variable
        source = self.sources[domain].merge(
            self.frames[domain][[name]], left_on="row", right_index=True
        )
        source["%key"] = self.flats.ledger["key"].to_numpy()[source["r"]]
        names = source.drop_duplicates(["%key", name])[["%key", name]]
        pairs = links.merge(names, left_on="lesion", right_on="%key")
        pairs["USUBJID"] = pairs["subject"].map(self.subjects)
        pairs = pairs.rename(columns={"site": "left", name: "right"})
        return pairs[["USUBJID", "left", "right"]].dropna().drop_duplicates()


def identify_subjects(conversion: Conversion, subjects: Subjects) -> None:
    """USUBJID = STUDYID-SUBJID for every Patient, by its key."""
    table = conversion.flats.tables[subjects.rows]
    # Its issues are those of DM, which reads the same and reports them.
    context = replace(conversion.context("DM"), issues=Issues())
    subjid = subjects.subjid.evaluate(table, context)
    usubjid = (conversion.study + "-" + subjid).astype("str")
    while (twice := usubjid.duplicated(keep=False)).any():
        # Patients that share an identifier by mistake are kept apart by their own ids.
        conversion.issues.add("SD0011", "", table.loc[twice, "%key"][:200], int(twice.sum()))
        usubjid = usubjid.where(~twice, usubjid + "-" + table["%key"].str.partition("/")[2])
    conversion.subjects = usubjid.set_axis(table["%key"])


def convert_domain(conversion: Conversion, mappings: Sequence[DomainMapping]) -> None:
    """Evaluate the mappings of one domain; their records are put together."""
    domain = mappings[0].domain
    pieces, sources, declared = [], [], {}
    offset = 0
    for mapping in mappings:
        table = conversion.flats.tables[mapping.rows]
        piece, source = _evaluate(conversion, mapping, table)
        piece.index = pd.RangeIndex(offset, offset + len(piece))
        source["row"] += offset
        offset += len(piece)
        pieces.append(piece)
        sources.append(source)
        declared.update({**mapping.columns, **_qualifier_columns(mapping)})
    frame = pd.concat([p for p in pieces if len(p)] or pieces[:1])
    unique = mappings[0].unique
    if unique:
        frame = _first_of_each(conversion, frame, unique, mappings[0].keys)
    conversion.frames[domain] = frame
    source = pd.concat(sources, ignore_index=True)
    conversion.sources[domain] = source[source["row"].isin(frame.index)]
    conversion.columns[domain] = {
        **shared.identifiers(domain, conversion.study),
        "USUBJID": var("USUBJID"),
        **declared,
    }


def _qualifier_columns(mapping: DomainMapping) -> dict[str, Column]:
    return {name: column for name, (_, column) in (mapping.qualifiers or {}).items()}


def _evaluate(
    conversion: Conversion, mapping: DomainMapping, flat: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records of one mapping, and their sources (row, r: row of the ledger)."""
    columns = {**shared.identifiers(mapping.domain, conversion.study), **mapping.columns}
    names = ["%key", "%r", "USUBJID", *columns, *_qualifier_columns(mapping)]
    if flat.empty:
        empty = pd.DataFrame({name: pd.Series(dtype="str") for name in names})
        return empty, pd.DataFrame({"row": [], "r": [], "own": []}, dtype="int64")
    context = conversion.context(mapping.domain)
    table = flat.copy(deep=False)
    subject = mapping.subject.evaluate(table, context)
    table["USUBJID"] = subject.map(conversion.subjects).astype("str")
    lost = table["USUBJID"].isna()
    if lost.any():
        absent = subject.isna()
        new = ~table["%r"].isin(conversion.without_subject)
        _exclude(conversion, table[absent], Status.QUARANTINED, "no subject")
        _exclude(conversion, table[lost & ~absent], Status.QUARANTINED, "subject not in the input")
        here = replace(context, where="")
        here.report("FH0004", mapping.rows.resource, table, absent & new)
        here.report("FH0005", mapping.rows.resource, table, lost & ~absent & new)
        conversion.without_subject.update(table.loc[lost, "%r"])
        table = table[~lost]
    for name, column in {**columns, **_qualifier_columns(mapping)}.items():
        at = mapping.domain if name.startswith("%") else f"{mapping.domain}.{name}"
        here = replace(context, where=at)
        table[name] = column.evaluate(table, here)
        if name in mapping.required:  # no work, and no issue, for what makes no record
            absent = table[name].isna()
            if absent.any():
                _exclude(conversion, table[absent], Status.EXCLUDED, "no record")
                table = table[~absent]
    own = pd.DataFrame({"row": range(len(table)), "r": table["%r"].to_numpy(), "own": True})
    position = pd.Series(range(len(table)), index=table.index)
    sources = [own]
    for used in context.used.values():
        read = used[(used >= 0) & used.index.isin(table.index)]
        lines = {"row": position[read.index].to_numpy(), "r": read.to_numpy(), "own": False}
        sources.append(pd.DataFrame(lines))
    found = pd.concat(sources, ignore_index=True).drop_duplicates(["row", "r"])
    return table[names], found


def _first_of_each(
    conversion: Conversion,
    frame: pd.DataFrame,
    unique: tuple[str, ...],
    keys: tuple[str, ...],
) -> pd.DataFrame:
    order = frame.sort_values([*keys, "%key"], kind="stable")
    repeated = order[order.duplicated(list(unique))]
    _exclude(conversion, repeated, Status.EXCLUDED, "duplicate")
    return frame.drop(index=repeated.index)


def _exclude(conversion: Conversion, table: pd.DataFrame, status: Status, reason: str) -> None:
    if len(table):
        conversion.reasons.append((table["%r"].to_numpy(), status, reason))


def finish_domains(
    conversion: Conversion, mappings: Sequence[Sequence[DomainMapping]]
) -> dict[str, Dataset]:
    """Study days, flags, --SEQ and supplemental qualifiers; the datasets in the order of names."""
    datasets: dict[str, Dataset] = {}
    ledger = conversion.flats.ledger
    rank = pd.factorize(ledger["key"], sort=True)[0]
    for own in sorted(mappings, key=lambda m: m[0].domain):
        domain, keys = own[0].domain, own[0].keys
        frame = _kept(conversion, domain)
        if frame.empty:
            continue
        columns = dict(conversion.columns[domain])
        context = conversion.context(domain)
        more = {
            **shared.timing(domain, columns),
            **shared.last_before_exposure(domain, columns),
        }
        if f"{domain}SEQ" in {v.name for v in standard.variables(domain)}:
            more |= shared.sequence(domain, keys)
        table = _transportable(conversion, domain, frame)
        for name, column in more.items():
            table[name] = column.evaluate(table, context)
        columns |= more
        order = [f"{domain}SEQ"] if f"{domain}SEQ" in table else []
        table = table.sort_values(["USUBJID", *order], kind="stable")
        position = pd.Series(range(len(table)), index=table.index)
        trace = _trace(conversion.sources[domain], position, ledger, rank)
        table = table.reset_index(drop=True)
        conversion.frames[domain] = table
        datasets[domain] = _dataset(conversion, domain, table, columns, trace, keys)
        whole = datasets[domain].frame
        written = [name for name in whole.columns if name in table]
        table, rest = split_long_text(domain, table, written)
        if rest:
            names = list(rest)
            shown = ", ".join(names) if len(names) < 6 else f"{names[0]}, …, {names[-1]}"
            conversion.issues.add("SD0002", f"{domain}: continued in {shown}")
            shorter = whole.assign(**{name: table[name] for name in written})
            datasets[domain] = replace(datasets[domain], frame=shorter)
        qualifiers = {n: q for m in own for n, q in (m.qualifiers or {}).items()}
        extra = {**qualifiers, **rest}
        if extra:
            supp = _supplement(domain, table, extra, trace)
            if supp is not None:
                datasets[supp.name] = supp
    return datasets


def _kept(conversion: Conversion, domain: str) -> pd.DataFrame:
    """The records but for those that the study has in another domain."""
    frame = conversion.frames[domain]
    if "%elsewhere" in frame:
        frame = frame[frame["%elsewhere"].ne("Y")]
        source = conversion.sources[domain]
        conversion.sources[domain] = source[source["row"].isin(frame.index)]
    return frame


def _transportable(conversion: Conversion, domain: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Text as printable ASCII and numbers in range, as a transport file needs them."""
    table = frame.copy(deep=False)
    for name in table.columns:
        if table[name].dtype == "float64":
            size = table[name].abs()
            wrong = (size > LARGEST) | ((size < SMALLEST) & (size > 0))
            if wrong.any():
                conversion.context(domain).report("SD0010", f"{name} is out of range", table, wrong)
                table[name] = table[name].mask(wrong)
        elif not name.startswith("%") and is_char(table[name]):
            text = table[name].str.strip()
            if (blank := text == "").any():
                text = text.mask(blank)
            table[name], lost = to_ascii(text)
            if lost.any():
                conversion.context(domain).report("SD0003", name, table, lost)
    return table


def _trace(
    source: pd.DataFrame, position: pd.Series, ledger: pd.DataFrame, rank: np.ndarray
) -> pd.DataFrame:
    """The resources of every record, by record and `rank` of the resource in the order of keys."""
    row = position[source["row"]].to_numpy()
    source = source.iloc[np.lexsort((rank[source["r"].to_numpy()], row))]
    resources = ledger[["resource_type", "id", "version"]].take(source["r"].to_numpy())
    return pd.DataFrame(
        {
            "row": np.sort(row),
            "parent_kind": "FHIR",
            "parent": resources["resource_type"].array,
            "parent_key": resources["id"].array,
            "version": resources["version"].array,
        }
    )


def _dataset(  # noqa: PLR0917
    conversion: Conversion, domain: str, table: pd.DataFrame, columns: Mapping[str, Column],
    trace: pd.DataFrame, keys: tuple[str, ...],
) -> Dataset:  # fmt: skip
    """Variables in IG order: required and expected ones always, others if they hold a value."""
    frame: dict[str, pd.Series] = {}
    labels: dict[str, str] = {}
    used: dict[str, Column] = {}
    for variable in standard.variables(domain):
        name = variable.name
        values = table.get(name)
        empty = values is None or bool(values.isna().all())
        if empty and variable.core == "Perm":
            continue
        if values is None:
            values = pd.Series(pd.NA, index=table.index, dtype="str")
        if variable.core == "Req" and values.isna().any():
            context = conversion.context("")
            context.report("SD0001", f"{domain}.{name}", table, values.isna())
        frame[name] = values.astype("float64" if variable.type == "Num" else "str")
        labels[name] = variable.label
        used[name] = columns.get(name, NO_SOURCE)
    return Dataset(
        name=domain,
        label=standard.dataset(domain).label,
        keys=tuple(key for key in keys if key in frame),
        frame=pd.DataFrame(frame),
        columns=used,
        labels=labels,
        trace=trace,
    )


def _supplement(
    domain: str, table: pd.DataFrame, qualifiers: Mapping[str, tuple[str, Column]],
    trace: pd.DataFrame,
) -> Dataset | None:  # fmt: skip
    present = {n: q for n, q in qualifiers.items() if n in table and table[n].notna().any()}
    if not present:
        return None
    frame, parent = supplemental_qualifiers(domain, table, present)
    name = f"SUPP{domain}"
    own = pd.DataFrame({"row": range(len(frame)), "parent_row": parent.to_numpy()})
    lines = own.merge(trace.rename(columns={"row": "parent_row"}), on="parent_row")
    return Dataset(
        name=name,
        label=standard.dataset(name).label,
        keys=("USUBJID", "IDVAR", "IDVARVAL", "QNAM"),
        frame=frame,
        columns={n: var(n) for n in frame.columns},
        labels={v.name: v.label for v in standard.variables(name)},
        trace=lines[list(TRACE_COLUMNS)],
    )


def settle_ledger(conversion: Conversion) -> pd.DataFrame:
    """The ledger: what became of every resource, and the domains with records of it.

    What has a record is converted, or used where it only adds to the record of another resource;
    what has none is excluded or quarantined with the first reason found, or unrouted.
    """
    ledger = conversion.flats.ledger
    size = len(ledger)
    owned = np.zeros(size, dtype=bool)
    bits = np.zeros(size, dtype="int64")
    names = sorted(conversion.sources)
    for number, domain in enumerate(names):
        source = conversion.sources[domain]
        bits[source["r"].unique()] |= 1 << number
        owned[source.loc[source["own"].astype(bool), "r"]] = True
    recorded = bits != 0
    spelled = {
        code: " ".join(name for number, name in enumerate(names) if code >> number & 1)
        for code in np.unique(bits).tolist()
    }
    undecided = (ledger["status"] == "").to_numpy()
    status = ledger["status"].to_numpy(dtype=object, copy=True)
    reason = ledger["reason"].to_numpy(dtype=object, copy=True)
    aside = undecided & ~recorded & (reason != "")
    status[aside] = Status.EXCLUDED
    status[undecided & recorded] = Status.USED
    status[undecided & owned] = Status.CONVERTED
    reason[undecided & recorded] = ""
    rest = undecided & ~recorded & ~aside
    status[rest], reason[rest] = Status.UNROUTED, "not needed"
    for rows, outcome, why in reversed(conversion.reasons):  # the first reason stands
        failed = np.zeros(size, dtype=bool)
        failed[rows] = True
        status[failed & rest], reason[failed & rest] = outcome, why
    domains = pd.Series(bits).map(spelled).where(undecided & recorded)
    out = ledger.assign(status=status, reason=reason, domains=domains.to_numpy()).astype(
        {"status": "str", "reason": "str", "domains": "str"}
    )
    return out.sort_values(["file", "line"], kind="stable", ignore_index=True)[list(LEDGER_COLUMNS)]
