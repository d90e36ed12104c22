"""The lesion registry: name radiotherapy sites, link them to lesions, and say what was irradiated.

It adds columns to flat tables, so that mappings read them like any other path: ``%site``,
``%record`` and ``%protocol`` where radiotherapy was given, ``%irradiated`` and ``%evidence`` to
the BodyStructures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from fhir2cdisc.converters.link import link
from fhir2cdisc.core import concept as concepts
from fhir2cdisc.core.column import Context
from fhir2cdisc.core.linkage import Registry, TreatmentRows
from fhir2cdisc.core.text import is_among
from fhir2cdisc.sdtm.irradiation import collapse_volumes, irradiation_status, number_sites


def register(registry: Registry, context: Context, protocol: str) -> pd.DataFrame:
    """Add the registry's columns to the flat tables of `context`; give the links.

    `protocol` says which courses are protocol treatment: ``marked``, ``all`` or ``auto``. The
    links have ``site`` (its name), ``subject``, ``lesion`` (BodyStructure key) and ``grade``.
    """
    body = _bodies(registry, context)
    sites = _sites(registry, context, body)
    protocol_only = protocol == "marked" or (protocol == "auto" and bool(sites["marked"].any()))
    if protocol == "auto" and len(sites) and not protocol_only:
        context.issues.add("SD0008", "", count=int(sites["course"].nunique()))
    sites["protocol"] = sites["marked"] if protocol_only else True
    keys = pd.concat(
        [column.evaluate(context.flats[rows], context) for rows, column in registry.lesions]
    ).dropna()
    lesions = body[is_among(body["key"], keys)]
    treated = sites[sites["treats"]]
    links = link(lesions[["key", "subject"]], treated, registry.evidence, context)
    given = treated[treated["protocol"]]
    status = irradiation_status(lesions, given, links[links["right"].isin(given.index)])
    if sites.empty:  # no radiotherapy in the whole input: nothing can be said of any lesion
        status["status"] = pd.Series(pd.NA, index=status.index, dtype="str")
    unknown = status.loc[status["status"].isna() & status["grade"].notna(), "key"]
    if len(unknown):
        context.issues.add("SD0005", "", unknown[:200], len(unknown))
    _add_columns(registry, context, sites, status)
    named = links.assign(
        site=sites["name"].reindex(links["right"]).to_numpy(),
        subject=sites["subject"].reindex(links["right"]).to_numpy(),
    )
    return named.rename(columns={"left": "lesion"})[["subject", "site", "lesion", "grade"]]


def _bodies(registry: Registry, context: Context) -> pd.DataFrame:
    table = context.flats[registry.body]
    kind = registry.volume_type.evaluate(table, context)
    types = {
        value: next((t for code, t in registry.types.items() if code in value), None)
        for value in kind.dropna().unique()
    }
    return pd.DataFrame(
        {
            "key": table["%key"],
            "subject": registry.subject.evaluate(table, context),
            "place": registry.place.evaluate(table, context),
            "side": registry.side.evaluate(table, context),
            "type": kind.map(types).astype("str"),
        }
    )


def _sites(registry: Registry, context: Context, body: pd.DataFrame) -> pd.DataFrame:
    pieces = []
    for number, source in enumerate(registry.sites):
        table = context.flats[source.rows]
        piece = pd.DataFrame(
            {
                "source": number,
                "at": range(len(table)),
                "course": table["%key"],
                "subject": source.subject.evaluate(table, context),
                "start": source.start.evaluate(table, context),
                "marked": source.marked.evaluate(table, context).notna(),
                "volume": source.volume.evaluate(table, context),
                "dose": source.dose.evaluate(table, context),
            }
        )
        pieces.append(piece[source.skip.evaluate(table, context).isna().to_numpy()])
    sites = pd.concat(pieces, ignore_index=True)
    structures = body.drop_duplicates("key").set_index("key")[["place", "side", "type"]]
    sites = sites.join(structures, on="volume")
    sites["treats"] = sites["type"].ne("OAR").fillna(True).astype(bool)  # noqa: FBT003
    sites["record"] = sites["treats"] & collapse_volumes(sites)
    sites["name"] = number_sites(sites)
    return sites


def _add_columns(
    registry: Registry, context: Context, sites: pd.DataFrame, status: pd.DataFrame
) -> None:
    texts = {e.grade: f"{e.grade}: {e.text}" for e in registry.evidence}
    texts[6] = "6: a treated site has the same place; for review"
    by_key = status.set_index("key")
    body = context.flats[registry.body]
    body["%irradiated"] = by_key["status"].reindex(body["%key"]).to_numpy()
    body["%evidence"] = by_key["grade"].map(texts).reindex(body["%key"]).astype("str").to_numpy()
    for number, source in enumerate(registry.sites):
        table = context.flats[source.rows]
        own = sites[sites["source"] == number].set_index("at")
        index = range(len(table))
        table["%site"] = own["name"].reindex(index).to_numpy()
        for name in ("record", "protocol"):
            flag = own[name].reindex(index).map({True: "Y", False: "N"})
            table[f"%{name}"] = flag.astype("str").to_numpy()


def mark_treatment(rows: TreatmentRows, context: Context, drugs: Sequence[str]) -> None:
    """Add ``%protocol`` (Y or N) to a flat table: whether a row is study treatment.

    The drugs of the study decide by name or code; without them the mark of the study; without
    either everything is study treatment, with an issue.
    """
    table = context.flats[rows.rows]
    given = rows.given.evaluate(table, context)
    marked = rows.marked.evaluate(table, context).notna()
    if drugs:
        wanted = re.compile("|".join(rf"\b{re.escape(d)}\b" for d in drugs), re.IGNORECASE)
        named = {
            value: any(wanted.search(f"{c.code} {c.display}") for c in concepts.decode(value))
            for value in given.dropna().unique()
        }
        protocol = given.map(named).fillna(False).astype(bool)  # noqa: FBT003
    elif marked.any():
        protocol = marked
    else:
        protocol = pd.Series(data=True, index=table.index)
        if len(table):
            context.issues.add("SD0007", "", count=len(table))
    table["%protocol"] = protocol.map({True: "Y", False: "N"}).astype("str")
