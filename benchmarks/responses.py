"""How fast and in how much memory lesion measurements become ADTR, ADRS and ADTTE.

    python benchmarks/responses.py [--subjects 100000] [--visits 5] [--lesions 2]

Random measurements of so many subjects (the default makes a million) go through the derivations
block by block; every dataset is appended to a Parquet file as it is made. Beside it stands what
plain Python takes for the target response alone, visit by visit, as a ratio.
"""

from __future__ import annotations

import math
import resource
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fhir2cdisc import pipeline
from fhir2cdisc.adam import DERIVATIONS
from fhir2cdisc.converters.sdtm_to_adam import derive_blocks
from fhir2cdisc.core.issue import Issues
from fhir2cdisc.study import Study

SHOWN = ("ADTR", "ADRS", "ADTTE")
START = np.datetime64("2024-01-08")


def texts(values: list[str], codes: np.ndarray) -> pd.Series:
    """One of a few texts on every row."""
    return pd.Series(pd.array(values, dtype="str").take(codes))


def study_data(subjects: int, visits: int, lesions: int) -> dict[str, pd.DataFrame]:
    """SDTM of subjects with random courses of their target lesions, half of them irradiated."""
    random = np.random.default_rng(1)
    names = [f"B-{n:07d}" for n in range(subjects)]
    labels = [f"T{n + 1:02d}" for n in range(lesions)]
    days = [-7, *(42 * n for n in range(1, visits))]
    dates = [str(START + np.timedelta64(day, "D")) for day in days]
    everyone = np.arange(subjects)
    lesion_owner, lesion = np.repeat(everyone, lesions), np.tile(np.arange(lesions), subjects)
    owner = np.repeat(everyone, visits * lesions)
    visit = np.tile(np.repeat(np.arange(visits), lesions), subjects)
    measured = np.tile(np.arange(lesions), subjects * visits)
    course = np.cumprod(random.uniform(0.75, 1.25, (subjects, visits, lesions)), axis=1)
    size = np.round(random.uniform(15, 60, (subjects, 1, lesions)) * course, 1).ravel()
    done = random.random(len(size)) > 0.03
    first, last = str(START), str(START + np.timedelta64(42 * visits, "D"))
    return {
        "DM": pd.DataFrame({
            "STUDYID": "B", "USUBJID": names, "SUBJID": names, "RFSTDTC": first,
            "RFXSTDTC": first, "RFXENDTC": last, "RFICDTC": first, "ARM": "A", "ACTARM": "A",
        }, dtype="str"),
        "DS": pd.DataFrame({
            "USUBJID": names, "DSDECOD": "ENTERED INTO TRIAL", "DSCAT": "PROTOCOL MILESTONE",
            "DSSTDTC": first,
        }, dtype="str").assign(DSSEQ=1.0),
        "EX": pd.DataFrame({
            "USUBJID": names, "EXTRT": "DRUG", "EXSTDTC": first, "EXENDTC": last,
        }, dtype="str").assign(EXSEQ=1.0, EXDOSE=200.0),
        "TU": pd.DataFrame({
            "USUBJID": texts(names, lesion_owner), "TUSEQ": lesion + 1.0,
            "TULNKID": texts(labels, lesion), "TUTESTCD": "TUMIDENT", "TUSTRESC": "TARGET",
            "TULOC": "LUNG", "TUDTC": dates[0],
        }).astype({"TUTESTCD": "str", "TUSTRESC": "str", "TULOC": "str", "TUDTC": "str"}),
        "SUPPTU": pd.DataFrame({
            "USUBJID": texts(names, lesion_owner), "IDVAR": "TULNKID",
            "IDVARVAL": texts(labels, lesion), "QNAM": "TUIRRAD",
            "QVAL": texts(["Y", "N"], lesion % 2),
        }).astype({"IDVAR": "str", "QNAM": "str"}),
        "TR": pd.DataFrame({
            "USUBJID": texts(names, owner),
            "TRSEQ": np.tile(np.arange(visits * lesions) + 1.0, subjects),
            "TRLNKID": texts(labels, measured), "TRTESTCD": texts(["LDIAM"], measured * 0),
            "TRLNKGRP": texts([f"A{n}" for n in range(visits)], visit),
            "TRSTRESN": np.where(done, size, np.nan),
            "TRSTAT": texts(["NOT DONE", ""], done.astype(np.int64)).replace("", pd.NA),
            "TRDTC": texts(dates, visit), "VISITNUM": visit.astype("float64"),
        }),
    }  # fmt: skip


def plain_python(tr: pd.DataFrame, subjects: int) -> float:
    """CPU seconds of the target response of the first subjects, one visit after the other."""
    names = tr["USUBJID"].drop_duplicates().iloc[:subjects]
    rows = tr[tr["USUBJID"].isin(names)][["USUBJID", "VISITNUM", "TRSTRESN"]]
    start = time.process_time()
    sizes: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, number, size in rows.itertuples(index=False):
        sizes[name][number].append(size)
    found = []
    for of_subject in sizes.values():
        base = nadir = sum(of_subject[0.0])
        for number in sorted(of_subject)[1:]:
            total = sum(of_subject[number])
            if total - nadir >= 5 and (total - nadir) * 100 >= 20 * nadir:
                found.append("PD")
            elif (base - total) * 100 >= 30 * base:
                found.append("PR")
            else:
                found.append("NE" if math.isnan(total) else "SD")
            nadir = nadir if math.isnan(total) else min(nadir, total)
    return time.process_time() - start


@click.command()
@click.option("--subjects", default=100_000, show_default=True)
@click.option("--visits", default=5, show_default=True, help="with the baseline")
@click.option("--lesions", default=2, show_default=True)
@click.option("--block", default=5_000, show_default=True, help="subjects derived at once")
def main(subjects: int, visits: int, lesions: int, block: int) -> None:
    data = study_data(subjects, visits, lesions)
    measurements = len(data["TR"])
    some = min(subjects, 5000)
    baseline = plain_python(data["TR"], some) * subjects / some
    study = Study()
    terms = pipeline.terminology(study)
    wanted = [d for d in DERIVATIONS if d.name in {"ADSL", *SHOWN}]
    rows: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        writers: dict[str, pq.ParquetWriter] = {}
        written = 0.0
        for found in derive_blocks(wanted, data, study, terms, Issues(), block):
            before = time.process_time()
            for name, dataset in found.items():
                table = pa.Table.from_pandas(dataset.frame, preserve_index=False)
                if name not in writers:
                    writers[name] = pq.ParquetWriter(Path(folder) / f"{name}.parquet", table.schema)
                writers[name].write_table(table)
                rows[name] += len(dataset.frame)
            written += time.process_time() - before
        for writer in writers.values():
            writer.close()
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"{measurements:,} measurements of {subjects:,} subjects, {block:,} at once")
    click.echo(", ".join(f"{name} {count:,}" for name, count in rows.items()) + " records")
    click.echo(
        f"{cpu:.1f} CPU s ({written:.1f} of them to write Parquet), wall {wall:.1f} s, "
        f"peak memory {peak:.0f} MB"
    )
    click.echo(
        f"target response alone in plain Python: {baseline:.1f} CPU s; ratio {cpu / baseline:.1f}"
    )


if __name__ == "__main__":
    main()
