"""The verbs of mappings: a closed set of ways to make a column.

`apply` is the way out of the set; its sentence is a required argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir2cdisc.core import concept as concepts
from fhir2cdisc.core import dates
from fhir2cdisc.core.column import Column, Context, Origin, by_distinct
from fhir2cdisc.core.rows import Rows

_DECIMAL = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path(Column):
    path: str
    origin: Origin = Origin.COLLECTED

    @property
    def paths(self) -> frozenset[str]:
        return frozenset({self.path})

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        return table[self.path]

    def describe(self) -> str:
        return self.path.removesuffix(".concept()")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Of(Column):
    """A column made of other columns: paths and joins are theirs."""

    sources: tuple[Column, ...]

    @property
    def paths(self) -> frozenset[str]:
        return frozenset[str]().union(*(s.paths for s in self.sources))

    @property
    def joined(self) -> frozenset[tuple[Rows, str]]:
        return frozenset[tuple[Rows, str]]().union(*(s.joined for s in self.sources))

    @property
    def codelists(self) -> frozenset[str]:
        return frozenset[str]().union(*(s.codelists for s in self.sources))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Const(Column):
    value: str
    origin: Origin = Origin.ASSIGNED

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        return pd.Series(self.value, index=table.index, dtype="str")

    def describe(self) -> str:
        return f'"{self.value}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing(Column):
    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        return pd.Series(np.nan, index=table.index, dtype="str")

    def describe(self) -> str:
        return "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting(Column):
    key: str
    origin: Origin = Origin.PROTOCOL

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        value = context.settings[self.key] or np.nan
        return pd.Series(value, index=table.index, dtype="str")

    def describe(self) -> str:
        return f"{self.key} of the study"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lookup(Column):
    """A variable of another dataset's record of the same subject, by a key both have."""

    variable: str
    on: str
    key: str

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        dataset, name = self.variable.split(".")
        frame = context.frames.get(dataset)
        if frame is None or frame.empty:
            return pd.Series(np.nan, index=table.index, dtype="str")
        known = frame[["USUBJID", self.on, name]].dropna().drop_duplicates(["USUBJID", self.on])
        found = known.set_index(["USUBJID", self.on])[name]
        index = pd.MultiIndex.from_frame(table[["USUBJID", self.key]])
        return found.reindex(index).set_axis(table.index).astype("str")

    def describe(self) -> str:
        return f"{self.variable} where {self.on} = {self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Var(Column):
    name: str

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        return table[self.name]

    def describe(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text(_Of):
    codes: bool

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        text = concepts.verbatim if self.codes else concepts.words
        return by_distinct(self.sources[0].evaluate(table, context), text)

    def describe(self) -> str:
        last = ", else its code" if self.codes else ""
        return f"text of {self.sources[0].describe()}, else its display{last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recode(_Of):
    codelist: str
    keep: bool
    quiet: bool

    @property
    def codelists(self) -> frozenset[str]:
        return frozenset({self.codelist, *self.sources[0].codelists})

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        raw = self.sources[0].evaluate(table, context)
        out = by_distinct(raw, lambda value: context.terms.recode(self.codelist, value))
        unmapped = raw.notna() & out.isna()
        if unmapped.any() and not self.quiet:
            for value in raw[unmapped].unique():
                text = f"{concepts.name(value)} is not mapped to {self.codelist}"
                context.report("CT0001", text, table, raw == value)
        if self.keep:
            out = out.where(~unmapped, by_distinct(raw, concepts.verbatim))
        return out

    def describe(self) -> str:
        return f"{self.sources[0].describe()} mapped to codelist {self.codelist}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _FirstOf(_Of):
    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        first, *others = self.sources
        out = first.evaluate(table, context)
        for source in others:
            if not out.isna().any():
                break
            out = out.where(out.notna(), source.evaluate(table, context))
        return out

    def describe(self) -> str:
        return f"the first that is there of ({'; '.join(s.describe() for s in self.sources)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _When(_Of):
    equals: tuple[str, ...]

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        test, then, *otherwise = (s.evaluate(table, context) for s in self.sources)
        true = test.isin(self.equals) if self.equals else test.notna()
        if otherwise:
            return then.where(true, otherwise[0])
        return then.where(true)

    def describe(self) -> str:
        test, then, *otherwise = (s.describe() for s in self.sources)
        values = " or ".join(f'"{v}"' for v in self.equals)
        condition = f"{test} is {values}" if values else f"there is {test}"
        return f"{then} if {condition}" + (f", else {otherwise[0]}" if otherwise else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Iso8601(_Of):
    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        dtc, problems = dates.as_collected(self.sources[0].evaluate(table, context))
        for text, rows in problems.items():
            context.report("FH0009", text, table, rows)
        return dtc

    def describe(self) -> str:
        return (
            f"{self.sources[0].describe()}, local time without UTC offset, precision as collected"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantity(Column):
    """The number of a Quantity as exact decimal text with its comparator; converted if asked."""

    element: str
    unit: str

    @property
    def paths(self) -> frozenset[str]:
        parts = ("value", "comparator", *(("code", "unit") if self.unit else ()))
        return frozenset({f"{self.element}.{part}" for part in parts})

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        number = table[f"{self.element}.value"]
        wrong = number.notna() & ~number.str.fullmatch(_DECIMAL)
        if wrong.any():
            context.report("FH0008", f"{self.element}.value is no number", table, wrong)
            number = number.mask(wrong)
        if self.unit:
            number = self._converted(number, table, context)
        return (table[f"{self.element}.comparator"].fillna("") + number).astype("str")

    def _converted(self, number: pd.Series, table: pd.DataFrame, context: Context) -> pd.Series:
        unit = table[f"{self.element}.code"]
        unit = unit.where(unit.notna(), table[f"{self.element}.unit"])
        pair = number + concepts.FIELD + unit.fillna("")

        def convert(number_and_unit: str) -> str | None:
            value, source = number_and_unit.split(concepts.FIELD, 1)
            return context.terms.convert(value, source, self.unit)

        out = by_distinct(pair, convert)
        failed = number.notna() & out.isna()
        if failed.any():
            context.report(
                "CT0002", f"{self.element} is not in a unit of {self.unit}", table, failed
            )
        return out

    def describe(self) -> str:
        if self.unit:
            return f"{self.element} in {self.unit}"
        return f"{self.element}.value with its {self.element}.comparator"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Number(_Of):
    quiet: bool

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        raw = self.sources[0].evaluate(table, context)
        out = pd.Series(pd.to_numeric(raw, errors="coerce"), dtype="float64")
        lost = raw.notna() & out.isna()
        if lost.any() and not self.quiet:
            compared = lost & raw.str.match("[<>]|ad|sa")
            context.report("SD0010", "has a comparator", table, compared)
            context.report("FH0008", "is no number", table, lost & ~compared)
        return out

    def describe(self) -> str:
        return f"{self.sources[0].describe()} as number"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check(_Of):
    wrong: Callable[..., pd.Series]
    code: str
    text: str

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        values = [source.evaluate(table, context) for source in self.sources]
        context.report(self.code, self.text, table, self.wrong(*values))
        return values[0]

    def describe(self) -> str:
        return self.sources[0].describe()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Join(Column):
    """A column of the resource that a reference names."""

    reference: Column
    rows: Rows
    column: Column

    @property
    def paths(self) -> frozenset[str]:
        return self.reference.paths

    @property
    def joined(self) -> frozenset[tuple[Rows, str]]:
        own = frozenset((self.rows, path) for path in self.column.paths)
        return own | self.column.joined | self.reference.joined

    @property
    def codelists(self) -> frozenset[str]:
        return self.column.codelists | self.reference.codelists

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        key = self.reference.evaluate(table, context)
        other = context.flats[self.rows]
        place = context.place(self.rows, key)
        dangling = pd.Series(place == -1, index=table.index) & key.notna()
        if dangling.any():
            text = f"names no {self.rows.resource} of the input"
            context.report("FH0006", text, table, dangling)
        context.use(self.reference.describe(), self.rows, place, table.index)
        values = self.column.evaluate(other, context)
        return pd.Series(values.array.take(place, allow_fill=True), index=table.index)

    def describe(self) -> str:
        return (
            f"{self.column.describe()} of the {self.rows.resource} at {self.reference.describe()}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gather(Column):
    """One value of the rows of another table that belong to this row's resource."""

    rows: Rows
    by: Column
    value: Column
    order: tuple[str, ...]
    several: str

    @property
    def joined(self) -> frozenset[tuple[Rows, str]]:
        own = frozenset((self.rows, path) for path in self.by.paths | self.value.paths)
        return own | self.by.joined | self.value.joined

    @property
    def codelists(self) -> frozenset[str]:
        return self.by.codelists | self.value.codelists

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        other = context.flats[self.rows]
        found = pd.DataFrame(
            {
                "key": self.by.evaluate(other, context),
                "value": self.value.evaluate(other, context),
                "source": other["%key"],
                "at": np.arange(len(other)),
            }
        ).dropna(subset=["key", "value"])
        rank = {value: position for position, value in enumerate(self.order)}
        found["rank"] = found["value"].map(rank).fillna(len(rank)).astype("float64")
        found = found.sort_values(["key", "rank", "source"], kind="stable")
        first = found.drop_duplicates("key")
        place = pd.Index(first["key"], dtype="str").get_indexer(pd.Index(table["%key"]))
        out = pd.Series(first["value"].array.take(place, allow_fill=True), index=table.index)
        if not self.order:
            distinct = found.drop_duplicates(["key", "value"])["key"]
            many = table["%key"].isin(distinct[distinct.duplicated()])
            if self.several:
                out = out.mask(many, self.several)
            elif many.any():
                text = f"several {self.rows.resource} resources differ"
                context.report("FH0007", text, table, many)
        source = np.where(place >= 0, first["at"].to_numpy()[place] if len(first) else -1, -1)
        context.use(self.describe(), self.rows, source, table.index)
        return out.astype("str")

    def describe(self) -> str:
        text = f"{self.value.describe()} of its {self.rows.resource}"
        text += f" {self.rows.each}" if self.rows.each else ""
        if self.order:
            text += ", the first in the order " + ", ".join(self.order)
        return text + (f'; "{self.several}" if there are several' if self.several else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Apply(_Of):
    function: Callable[..., pd.Series]
    text: str

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        return self.function(*(s.evaluate(table, context) for s in self.sources))

    def describe(self) -> str:
        return self.text.format(*(s.describe() for s in self.sources))


@dataclass(frozen=True, slots=True, kw_only=True)
class _PerSubject(Column):
    """The earliest or latest date of the subject in datasets made before."""

    variables: tuple[str, ...]
    last: bool

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        parts = []
        for variable in self.variables:
            dataset, name = variable.split(".")
            frame = context.frames.get(dataset)
            if frame is not None and len(frame):
                parts.append(frame[["USUBJID", name]].set_axis(["USUBJID", "dtc"], axis=1))
        if not parts:
            return pd.Series(np.nan, index=table.index, dtype="str")
        found = pd.concat(parts, ignore_index=True).dropna()
        # A date without time is before every time of that day; only the day decides.
        found = found.assign(day=found["dtc"].str.slice(0, 10))
        ordered = found.sort_values(["day", "dtc"], kind="stable")
        kept = ordered.drop_duplicates("USUBJID", keep="last" if self.last else "first")
        value = kept.set_index("USUBJID")["dtc"]
        return value.reindex(table["USUBJID"].to_numpy()).set_axis(table.index).astype("str")

    def describe(self) -> str:
        return ("latest" if self.last else "earliest") + " of " + ", ".join(self.variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described(Column):
    """A variable that a derivation made before; here is its rule in English."""

    name: str
    text: str

    def evaluate(self, table: pd.DataFrame, context: Context) -> pd.Series:
        return table[self.name]

    def describe(self) -> str:
        return self.text


def path(element: str) -> Column:
    """The value at a FHIR path, as collected."""
    return _Path(path=element)


def coded(element: str, system: str) -> Column:
    """The code a CodeableConcept carries in one code system."""
    return _Path(path=f"{element}.coding.where(system = '{system}').code")


def concept(element: str) -> Column:
    """A CodeableConcept with all its codings and its text, to be recoded or read as text."""
    return _Path(path=f"{element}.concept()")


def text_of(source: Column, *, codes: bool = True) -> Column:
    """What the source calls a concept: its text, else its display, else (with `codes`) its code."""
    return _Text(sources=(source,), codes=codes, origin=source.origin)


def const(value: str) -> Column:
    """The same value on every row."""
    return _Const(value=value)


def var(name: str) -> Column:
    """A variable declared further up in the same mapping."""
    return _Var(name=name)


def nothing() -> Column:
    """Missing on every row."""
    return _Nothing()


def upper(source: Column) -> Column:
    """A text in capitals, without blanks at its ends."""
    text = "{} in capitals"
    return apply(source, lambda s: s.str.strip().str.upper(), text).as_(source.origin)


def setting(key: str) -> Column:
    """A setting of the study, such as ``treatment.arm``, on every row."""
    return _Setting(key=key)


def lookup(variable: str, on: str, key: str) -> Column:
    """``DATASET.VARIABLE`` of the subject's record whose `on` equals this record's `key`."""
    return _Lookup(variable=variable, on=on, key=key)


def recode(source: Column, codelist: str, *, keep: bool = False, quiet: bool = False) -> Column:
    """A source mapped to CDISC controlled terminology.

    What has no term is an issue and stays missing; with `keep` (extensible codelists) its text
    takes the place. `quiet` is for sources that need not be of this codelist.
    """
    return _Recode(
        sources=(source,), codelist=codelist, keep=keep, quiet=quiet, origin=source.origin
    )


def first_of(*sources: Column) -> Column:
    """The first of several sources that is not missing."""
    return _FirstOf(sources=sources, origin=sources[0].origin)


def when(
    test: Column, equals: str | tuple[str, ...], then: Column, otherwise: Column | None = None
) -> Column:
    """`then` where `test` has one of the values (``()``: any), else `otherwise` or missing."""
    values = (equals,) if isinstance(equals, str) else equals
    sources = (test, then) if otherwise is None else (test, then, otherwise)
    return _When(sources=sources, equals=values)


def iso8601(source: Column) -> Column:
    """A FHIR date or dateTime as --DTC: same precision, same calendar day, nothing imputed.

    References:
        SDTMIG v3.4, section 4.4.1 and 4.4.2.
    """
    return _Iso8601(sources=(source,), origin=Origin.COLLECTED)


def quantity(element: str, unit: str = "") -> Column:
    """The number of a Quantity as collected, with its comparator; with `unit` exactly converted.

    What is no number is an issue, and missing.
    """
    origin = Origin.DERIVED if unit else Origin.COLLECTED
    return _Quantity(element=element, unit=unit, origin=origin)


def join(reference: Column | str, rows: Rows, column: Column) -> Column:
    """A column of the resource that a reference names; what leads nowhere is an issue."""
    key = path(f"{reference}.getReferenceKey()") if isinstance(reference, str) else reference
    return _Join(reference=key, rows=rows, column=column, origin=column.origin)


def gather(
    rows: Rows,
    value: Column,
    by: Column | None = None,
    order: tuple[str, ...] = (),
    several: str = "",
) -> Column:
    """A value from rows that belong to this resource: its own elements, or what refers to it.

    `by` gives the key of the resource that a row of `rows` belongs to (default: the resource it
    is an element of). Of several values the first in `order` is taken; without an order,
    different values are an issue, or `several`.
    """
    key = by if by is not None else path("%key")
    return _Gather(
        rows=rows, by=key, value=value, order=order, several=several, origin=value.origin
    )


def apply(
    source: Column | tuple[Column, ...], function: Callable[..., pd.Series], text: str
) -> Column:
    """A vectorised function of one or several sources, with the sentence that documents it."""
    sources = source if isinstance(source, tuple) else (source,)
    return _Apply(sources=sources, function=function, text=text)


def number(source: Column, *, quiet: bool = False) -> Column:
    """The source as float64; what is no number is missing, and an issue if not `quiet`."""
    return _Number(sources=(source,), quiet=quiet)


def check(
    source: Column, code: str, wrong: Callable[..., pd.Series], text: str, *others: Column
) -> Column:
    """The source as it is; where `wrong` (of it and of `others`) is true there is an issue."""
    return _Check(
        sources=(source, *others), wrong=wrong, code=code, text=text, origin=source.origin
    )


def earliest(*variables: str) -> Column:
    """The subject's earliest date of ``DATASET.VARIABLE``s made before."""
    return _PerSubject(variables=variables, last=False)


def latest(*variables: str) -> Column:
    """The subject's latest date of ``DATASET.VARIABLE``s made before."""
    return _PerSubject(variables=variables, last=True)


def described(name: str, text: str, origin: Origin = Origin.DERIVED) -> Column:
    """A variable that an engine or a derivation made, with the sentence that documents it."""
    return _Described(name=name, text=text, origin=origin)


def predecessor(source: str) -> Column:
    """A variable taken over unchanged: ``predecessor("ADSL.AGE")``."""
    return _Described(name=source.rpartition(".")[2], text=source, origin=Origin.PREDECESSOR)
