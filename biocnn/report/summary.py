"""The overview of all experiments: a table for programs and a page for readers."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from biocnn.config.registry import REGISTRY, find, tasks_of
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.report.drawing import data_uri
from biocnn.report.glossary import Explainer
from biocnn.report.headline import (
    best_rows,
    comparison,
    duration,
    headline,
    interval,
    metric_name,
    number,
    probability,
    top_motif,
)
from biocnn.report.page import render
from biocnn.report.results import Results
from biocnn.report.runs_table import runs_table

_OTHER = "Other"  # experiments of unknown task


def write_summary(folders: list[Path], tsv: Path, html: Path, trainings: Path) -> None:
    """Write the overview of several experiments, followed by other experiments in the same folder.

    Parameters
    ----------
    folders
        Folders ``results/{experiment}``; missing results leave cells empty.
    tsv
        Table with one row per experiment and metric: name, state, date, run time, task, comparison with baselines,
        motif; the metric with its confidence interval, and whether it is a main one. An experiment without metrics has
        one row.
    html
        Page with headline metrics, a picture, and a relative link to each report.
    trainings
        Table with one row per training: see ``runs_table``.
    """
    experiments = [Results(folder) for folder in [*folders, *_earlier(folders)]]
    with atomic(tsv) as temporary:
        pd.concat(map(_records, experiments), ignore_index=True).to_csv(temporary, sep="\t", index=False)
    with atomic(trainings) as temporary:
        runs_table(experiments).to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    tasks = [(given, task) for given in REGISTRY["inputs"] for task in tasks_of(given)]
    titles = dict.fromkeys([*(_title(find("inputs", given), task) for given, task in tasks), _OTHER])
    groups = {title: [r for r in experiments if _family(r) == title] for title in titles}
    listed = [_group(title, members, html.parent) for title, members in groups.items() if members]
    about = {
        "groups": listed,
        "origin": plural(len(experiments), "experiment"),
        "table": tsv.name,
        "trainings": trainings.name,
    }
    page = render("index.html.j2", explain=Explainer(html.parent), **about)
    with atomic(html) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _family(results: Results) -> str:
    return _title(results.input, results.task) if results.input and results.task else _OTHER


def _title(given: Any, task: Any) -> str:
    return f"{given.examples.capitalize()}: {task.family}"


def _earlier(folders: list[Path]) -> list[Path]:
    """Return the folders of other experiments, sorted by name."""
    names = ("experiment.json", "report.html")
    beside = {path.parent for base in {f.parent for f in folders} for name in names for path in base.glob(f"*/{name}")}
    return sorted(beside - set(folders))


def _state(folder: Path) -> tuple[str, str]:
    """Return the state of an experiment and its time: done (report written) or unfinished (last run started)."""
    for name, state in (("report.html", "done"), ("experiment.json", "unfinished")):
        if (folder / name).is_file():
            time = datetime.fromtimestamp((folder / name).stat().st_mtime, UTC)
            return state, f"{time:%Y-%m-%d %H:%M}"
    return "not started", ""


def _seconds(folder: Path) -> float:
    """Return the time that all steps of an experiment took, as measured by Snakemake; nan if unknown."""
    found = [pd.read_csv(path, sep="\t")["s"] for path in sorted(folder.glob("benchmarks/*.tsv"))]
    return float(pd.concat(found).sum()) if found else float("nan")


def _records(results: Results) -> pd.DataFrame:
    """Return the rows of summary.tsv of an experiment."""
    rows, motif = best_rows(results), top_motif(results) or {}
    state, date = _state(results.folder)
    record = {"experiment": results.name, "state": state, "date": date, "seconds": _seconds(results.folder)}
    record |= {"task": results.task.name if results.task else "", "examples": len(results.examples)}
    record |= {"comparison": comparison(results)}
    record |= {name: motif.get(name) for name in ("motif", "target_id", "target_name", "p_value")}
    main = headline(results)["metric"] if len(rows) else []
    metrics = rows.assign(headline=rows["metric"].isin(main), split=results.split) if len(rows) else pd.DataFrame([{}])
    columns = ["metric", "headline", "value", "low", "high", "split", "run", "over", "n"]
    return metrics.reindex(columns=columns).assign(**record)[[*record, *columns]]


def _group(title: str, members: list[Results], base: Path) -> dict:
    """Return one table of the page: experiments with the same metrics."""
    metrics = list(dict.fromkeys(name for results in members for name in results.headline))
    splits = {results.split for results in members if len(results.metrics)}
    held_out = {"test": "the test split", "val": "the validation split"}
    caption = (
        f"Measured on {' or '.join(held_out[split] for split in sorted(splits))}" if splits else "Not evaluated yet"
    )
    rows = [_row(results, metrics, base) for results in members]
    return {
        "title": title,
        "caption": f"{caption}; small print: 95% confidence intervals." if splits else f"{caption}.",
        "glimpse": next((results.input.glimpse for results in members if results.input), "Prediction"),
        "metrics": [metric_name(name) for name in metrics],
        "compared": any(comparison(results) for results in members),
        "motifs": any(top_motif(results) for results in members),
        "pictures": any(row["picture"] for row in rows),
        "rows": rows,
    }


def _row(results: Results, metrics: list[str], base: Path) -> dict:
    found, motif = best_rows(results), top_motif(results)
    values = {row.metric: row for row in found.itertuples()}
    cells = [
        {"value": number(row.value), "interval": interval(row.low, row.high)}
        if (row := values.get(name))
        else {"value": "–", "interval": ""}
        for name in metrics
    ]
    report, picture = results.folder / "report.html", results.folder / "figures" / "thumbnail.png"
    name, (state, date) = results.task.name if results.task else "", _state(results.folder)
    link = quote(Path(os.path.relpath(report, base)).as_posix()) if report.is_file() else ""
    return {
        "name": results.name,
        "about": name,
        "state": state,
        "date": date,
        "time": duration(_seconds(results.folder)),
        "comparison": comparison(results) or ("no baselines" if len(found) else "–"),
        "link": link,
        "picture": data_uri(picture.read_bytes(), "image/png") if picture.is_file() else "",
        "alt": f"Example from {results.name}",
        "examples": f"{len(results.examples):,}" if len(results.examples) else "–",
        "cells": cells,
        "motif": motif["target_name"] if motif else "none similar",
        "p": probability(motif["p_value"]) if motif else "",
    }
