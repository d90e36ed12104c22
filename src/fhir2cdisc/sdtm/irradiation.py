"""Which lesions were irradiated during the study: yes, no, or not to be determined.

References:
    docs/interpretations.md, "Irradiated or not". SDTMIG v3.4 has no variable for it: the
    qualifiers TUIRRAD and TUIRREV of this project hold the answer and its evidence.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def collapse_volumes(sites: pd.DataFrame) -> pd.Series:
    """Which sites are a record of their own.

    A course may give its dose to a GTV inside a PTV: that is one dose to one site. Volumes of
    another type than PTV at the place and side of a PTV of the same course are no record.
    `sites` has course, place, side and type.
    """
    keys = ["course", "place", "side"]
    planned = sites.loc[sites["type"] == "PTV", keys].drop_duplicates()
    covered = sites[keys].merge(planned.assign(found=True), on=keys, how="left")["found"]
    inner = sites["type"].isin(["GTV", "CTV", "ITV", "IGTV"]).to_numpy()
    return pd.Series(~(covered.notna().to_numpy() & inner), index=sites.index)


def number_sites(sites: pd.DataFrame) -> pd.Series:
    """``RT1``, ``RT2``, … within subject by start, course and volume; organs at risk have none.

    What `collapse_volumes` found inside another volume has that volume's name.
    """
    treated = sites[sites["record"]].sort_values(
        ["subject", "start", "course", "volume", "dose"], kind="stable", na_position="last"
    )
    name = "RT" + (treated.groupby("subject").cumcount() + 1).astype("str")
    named = sites.assign(name=name.reindex(sites.index).astype("str"))
    inner = named["treats"] & ~named["record"]
    keys = ["course", "place", "side"]
    outer = named[named["record"] & (named["type"] == "PTV")].drop_duplicates(keys)
    found = named[keys].merge(outer[[*keys, "name"]], on=keys, how="left")["name"]
    return named["name"].where(~inner, found.to_numpy())


def irradiation_status(
    lesions: pd.DataFrame, sites: pd.DataFrame, links: pd.DataFrame
) -> pd.DataFrame:
    """Y, N or missing for every lesion, with the grade of the evidence.

    Y: a site of protocol radiotherapy is linked to the lesion. N: the subject had protocol
    radiotherapy and every site is linked to other lesions, or lies elsewhere; or the subject had
    none. Missing: a site that is linked to no lesion has the same place (side equal or unknown),
    or a place is unknown.

    `lesions`: key, subject, place, side. `sites`: subject, place, side. `links`: left (lesion
    key), right (row of `sites`), grade. Result: key, status, grade (6 for a possible site).
    """
    best = links.groupby("left")["grade"].min().reindex(lesions["key"]).to_numpy()
    open_sites = sites[~sites.index.isin(links["right"])]
    pairs = lesions.merge(open_sites, on="subject", suffixes=("", "_site"))
    same_place = pairs["place"].eq(pairs["place_site"]).fillna(False).astype(bool)  # noqa: FBT003
    side_differs = pairs["side"].notna() & pairs["side_site"].notna()
    side_differs &= pairs["side"].ne(pairs["side_site"]).fillna(False).astype(bool)  # noqa: FBT003
    unknown = pairs["place"].isna() | pairs["place_site"].isna()
    possible = pairs.loc[unknown | (same_place & ~side_differs), "key"].unique()
    linked = ~np.isnan(best.astype("float64"))
    maybe = lesions["key"].isin(possible).to_numpy()
    status = pd.Series("N", index=range(len(lesions)), dtype="str").mask(maybe).mask(linked, "Y")
    grade = np.where(linked, best, np.where(maybe, 6.0, np.nan))
    return pd.DataFrame(
        {
            "key": lesions["key"].to_numpy(),
            "status": status,
            "grade": pd.Series(grade, dtype="float64"),
        }
    )
