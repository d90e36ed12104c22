"""Checks of lesions and their measurements: Q01 to Q09."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fhir2cdisc.conformance.check import Check, records, together
from fhir2cdisc.conformance.tumour_data import LESION_TESTS, Tumours
from fhir2cdisc.core.variables import date, number, text

_RECIST = "RECIST 1.1 (Eisenhauer 2009)"
_ROUNDING = 1e-9  # mm: decimals of a file are no exact binary numbers


def too_many_targets(tumours: Tumours) -> pd.DataFrame:
    """Those beyond the limit, in the order of TUSEQ."""
    settings = tumours.study.checks
    targets = tumours.lesions[tumours.lesions["role"] == "TARGET"]
    irradiated = targets["irradiated"].eq("Y") & settings.targets_by_group
    keys = targets[["USUBJID", "reader"]].assign(group=irradiated)
    number_of = keys.groupby(list(keys)).cumcount()
    in_organ = keys.assign(organ=targets["organ"]).groupby([*keys, "organ"]).cumcount()
    most, of_organ = settings.max_targets, settings.max_targets_per_organ
    known = targets["organ"].notna()
    return together(
        records("TU", targets, number_of >= most, f"More than {most} target lesions", "TUSEQ"),
        records(
            "TU", targets, known & (in_organ >= of_organ),
            f"More than {of_organ} target lesions in one organ", "TUSEQ",
        ),
    )  # fmt: skip


def _baseline_sizes(tumours: Tumours) -> pd.DataFrame:
    """The record with the baseline size of each target, and whether it is a node."""
    results = tumours.results[tumours.results["baseline"] & (tumours.results["lesion"] >= 0)]
    of = tumours.lesions[["role", "node"]].reindex(results["lesion"]).set_axis(results.index)
    axis = np.where(of["node"], "LPERP", "LDIAM")
    sized = (results["test"] == axis) | (results["test"] == "DIAMETER")
    sized &= (of["role"] == "TARGET") & results["done"] & results["size"].notna()
    found = results.assign(node=of["node"])[sized]
    return found.sort_values(["lesion", "day", "TRSEQ"]).drop_duplicates("lesion", keep="last")


def small_targets(tumours: Tumours) -> pd.DataFrame:
    """Nodes of a size between normal and measurable are Q03."""
    found, study = _baseline_sizes(tumours), tumours.study
    node = found["node"].astype(bool)
    small = ~node & (found["size"] < study.checks.min_target_mm)
    normal = node & (found["size"] < study.response.node_normal_mm)
    least, below = study.checks.min_target_mm, study.response.node_normal_mm
    return together(
        records("TR", found, small, f"Target lesion below {least:g} mm at baseline", "TRSEQ"),
        records("TR", found, normal, f"Target node of normal size (below {below:g} mm)", "TRSEQ"),
    )


def nodes_not_measurable(tumours: Tumours) -> pd.DataFrame:
    found, study = _baseline_sizes(tumours), tumours.study
    normal, least = study.response.node_normal_mm, study.checks.min_target_node_mm
    between = found["node"].astype(bool) & (found["size"] >= normal) & (found["size"] < least)
    message = f"Node of {normal:g} to below {least:g} mm is recorded as target"
    return records("TR", found, between, message, "TRSEQ")


def irradiated_targets(tumours: Tumours) -> pd.DataFrame:
    lesions = tumours.lesions
    broken = (lesions["role"] == "TARGET") & lesions["TUPRVIR"].eq("Y")
    broken &= lesions["TUPRVIRP"].ne("Y")
    message = "Target lesion was irradiated before and is not known to have progressed since"
    return records("TU", lesions, broken, message, "TUSEQ")


def targets_without_baseline(tumours: Tumours) -> pd.DataFrame:
    lesions, results = tumours.lesions, tumours.results
    volume = (results["test"] == "VOLUME") & results["result"].notna()
    measured = results["baseline"] & results["done"] & (results["size"].notna() | volume)
    has = lesions.index.isin(results.loc[measured, "lesion"])
    broken = (lesions["role"] == "TARGET").to_numpy() & lesions["limit"].notna().to_numpy() & ~has
    return records("TU", lesions, broken, "Target lesion has no measurement at baseline", "TUSEQ")


def results_without_lesion(tumours: Tumours) -> pd.DataFrame:
    results = tumours.results
    named, known = results["LNKID"].notna(), results["lesion"] >= 0
    nameless = ~named & results["test"].isin(LESION_TESTS)
    return together(
        records("TR", results, named & ~known, "TRLNKID is not identified in TU", "TRSEQ"),
        records("TR", results, nameless, "Result of a single lesion has no TRLNKID", "TRSEQ"),
    )


def early_new_lesions(tumours: Tumours) -> pd.DataFrame:
    """By its identification, or if that is later, by a result other than absent."""
    lesions, results = tumours.lesions, tumours.results
    new = lesions["role"] == "NEW"
    early = (new & (lesions["day"] <= lesions["limit"])).to_numpy(dtype=bool)
    others = results["lesion"].isin(lesions.index[new & ~early])
    seen = others & results["baseline"] & results["done"] & results["result"].ne("ABSENT")
    return together(
        records("TU", lesions, early, "New lesion is identified at baseline", "TUSEQ"),
        records("TR", results, seen, "New lesion is seen at baseline", "TRSEQ"),
    )


def other_methods(tumours: Tumours) -> pd.DataFrame:
    """TRMETHOD of the last baseline record, without one TUMETHOD, is what counts."""
    results = tumours.results
    used = results[(results["lesion"] >= 0) & results["done"] & results["method"].notna()]
    baseline = used[used["baseline"]].sort_values(["lesion", "day", "TRSEQ"])
    first = baseline.drop_duplicates("lesion", keep="last").set_index("lesion")["method"]
    of_lesion = first.reindex(tumours.lesions.index).fillna(tumours.lesions["method"])
    before = of_lesion.reindex(used["lesion"]).set_axis(used.index)
    broken = ~used["baseline"] & before.notna() & (used["method"] != before)
    return records("TR", used, broken, "Method differs from the one at baseline", "TRSEQ")


def other_sums(tumours: Tumours) -> pd.DataFrame:
    """A collected sum beside the sum of the same assessment in ADTR, else of the same day."""
    tr, adtr = tumours.frame("TR"), tumours.frame("ADTR")
    reader = text(tr, "TREVAL").str.upper()
    own = reader.isna() | reader.eq(tumours.study.response.evaluator.upper())
    tr = tr[own & text(tr, "TRTESTCD").eq("SUMDIAM")]
    collected = pd.DataFrame(
        {
            "USUBJID": text(tr, "USUBJID"),
            "TRSEQ": number(tr, "TRSEQ"),
            "group": text(tr, "TRLNKGRP"),
            "day": date(tr, "TRDTC"),
            "size": tumours.millimetres(tr),
        }
    ).dropna(subset=["size"])
    adtr = adtr.filter(items=["USUBJID", "PARAMCD", "TRLNKGRP", "ADT", "AVAL"])
    adtr = adtr[text(adtr, "PARAMCD").eq("SDIAM")]
    derived = pd.DataFrame(
        {
            "USUBJID": text(adtr, "USUBJID"),
            "group": text(adtr, "TRLNKGRP"),
            "day": date(adtr, "ADT"),
            "sum": number(adtr, "AVAL"),
        }
    )
    total = pd.Series(np.nan, index=collected.index)
    for key in ("group", "day"):
        known = derived.dropna(subset=[key]).drop_duplicates(["USUBJID", key])
        found = collected[["USUBJID", key]].merge(known, "left", ["USUBJID", key])["sum"]
        total = total.fillna(found.set_axis(collected.index))
    tolerance = tumours.study.checks.sum_tolerance_mm
    broken = (collected["size"] - total).abs() > tolerance + _ROUNDING
    message = f"Collected sum differs from that of the lesions by more than {tolerance:g} mm"
    return records("TR", collected, broken, message, "TRSEQ")


TUMOUR_CHECKS = (
    Check(
        id="Q01",
        code="QC0001",
        rule="There are no more target lesions than the protocol allows, in all and in one organ.",
        source=f"{_RECIST}, section 4.2",
        needs=("TU",),
        prepare=Tumours,
        find=too_many_targets,
    ),
    Check(
        id="Q02",
        code="QC0002",
        rule="At baseline a target lesion is large enough to be measured, and a target node is not "
        "of normal size.",
        source=f"{_RECIST}, sections 3.1.1 and 4.2",
        needs=("ADSL", "TU", "TR"),
        prepare=Tumours,
        find=small_targets,
    ),
    Check(
        id="Q03",
        code="QC0003",
        rule="A pathological node that is too small to be measured is a non-target lesion.",
        source=f"{_RECIST}, sections 3.1.1 and 4.2",
        needs=("ADSL", "TU", "TR"),
        prepare=Tumours,
        find=nodes_not_measurable,
    ),
    Check(
        id="Q04",
        code="QC0004",
        rule="A lesion that was irradiated before is a target only if it has progressed since.",
        source=f"{_RECIST}, section 3.1.3",
        needs=("TU",),
        prepare=Tumours,
        find=irradiated_targets,
    ),
    Check(
        id="Q05",
        code="QC0005",
        rule="Every target lesion is measured at baseline.",
        source=f"{_RECIST}, section 4.2; SDTMIG v3.4, TR",
        needs=("ADSL", "TU"),
        prepare=Tumours,
        find=targets_without_baseline,
    ),
    Check(
        id="Q06",
        code="QC0006",
        rule="Every result of a lesion belongs to a lesion that TU identifies.",
        source="SDTMIG v3.4, TU assumption 1 and TR",
        needs=("TR",),
        prepare=Tumours,
        find=results_without_lesion,
    ),
    Check(
        id="Q07",
        code="QC0007",
        rule="A new lesion is found after baseline.",
        source=f"{_RECIST}, section 4.3.5",
        needs=("ADSL", "TU"),
        prepare=Tumours,
        find=early_new_lesions,
    ),
    Check(
        id="Q08",
        code="QC0008",
        rule="A lesion is assessed by the same method as at baseline.",
        source=f"{_RECIST}, section 3.2.2",
        needs=("ADSL", "TU", "TR"),
        prepare=Tumours,
        find=other_methods,
    ),
    Check(
        id="Q09",
        code="QC0009",
        rule="A collected sum of diameters is the sum of the diameters.",
        source=f"{_RECIST}, section 4.2; SDTMIG v3.4, TR assumption 3",
        needs=("TR", "ADTR"),
        prepare=Tumours,
        find=other_sums,
    ),
)
