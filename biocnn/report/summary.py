"""The overview of all experiments: a table for programs and a page for readers."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from biocnn.config.registry import REGISTRY, find, tasks_of
from biocnn.core.files import atomic
from biocnn.report.blocks import plural
from biocnn.report.drawing import data_uri
from biocnn.report.headline import best_rows, interval, metric_name, number, probability, top_motif
from biocnn.report.page import render
from biocnn.report.results import Results

_OTHER = "Other"  # experiments of unknown task


def write_summary(folders: list[Path], tsv: Path, html: Path) -> None:
    """Write the overview of several experiments, followed by other experiments in the same folder.

    Parameters
    ----------
    folders
        Folders ``results/{experiment}``; missing results leave cells empty.
    tsv
        Table with one row per experiment: name, state, date, task, number of examples, split, run, every metric with
        its confidence interval, motif.
    html
        Page with headline metrics, a picture, and a relative link to each report.
    """
    experiments = [Results(folder) for folder in [*folders, *_earlier(folders)]]
    with atomic(tsv) as temporary:
        pd.DataFrame([_record(results) for results in experiments]).to_csv(temporary, sep="\t", index=False)
    tasks = [(given, task) for given in REGISTRY["inputs"] for task in tasks_of(given)]
    titles = dict.fromkeys([*(_title(find("inputs", given), task) for given, task in tasks), _OTHER])
    groups = {title: [r for r in experiments if _family(r) == title] for title in titles}
    listed = [_group(title, members, html.parent) for title, members in groups.items() if members]
    page = render("index.html.j2", groups=listed, origin=plural(len(experiments), "experiment"))
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


def _record(results: Results) -> dict:
    """Return one row of summary.tsv."""
    rows, motif = best_rows(results), top_motif(results) or {}
    state, date = _state(results.folder)
    record = {"experiment": results.name, "state": state, "date": date}
    record |= {"task": results.task.name if results.task else "", "examples": len(results.examples)}
    record |= {"split": results.split, "run": rows["run"].iloc[0]} if len(rows) else {}
    for row in rows.itertuples():
        record |= {row.metric: row.value, f"{row.metric}_low": row.low, f"{row.metric}_high": row.high}
    return record | {name: motif[name] for name in ("motif", "target_id", "target_name", "p_value") if name in motif}


def _group(title: str, members: list[Results], base: Path) -> dict:
    """Return one table of the page: experiments with the same metrics."""
    metrics = list(dict.fromkeys(name for results in members for name in results.headline))
    splits = {results.split for results in members if len(results.metrics)}
    held_out = {"test": "the test split", "val": "the validation split"}
    caption = (
        f"Measured on {' or '.join(held_out[split] for split in sorted(splits))}" if splits else "Not evaluated yet"
    )
    return {
        "title": title,
        "caption": f"{caption}; small: 95% confidence intervals." if splits else f"{caption}.",
        "glimpse": next((results.input.glimpse for results in members if results.input), "Prediction"),
        "metrics": [metric_name(name) for name in metrics],
        "motifs": any(top_motif(results) for results in members),
        "rows": [_row(results, metrics, base) for results in members],
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
    name = results.task.name if results.task else ""
    link = quote(Path(os.path.relpath(report, base)).as_posix()) if report.is_file() else ""
    return {
        "name": results.name,
        "about": " · ".join(part for part in (name, *_state(results.folder)) if part),
        "link": link,
        "picture": data_uri(picture.read_bytes(), "image/png") if picture.is_file() else "",
        "alt": f"Example from {results.name}",
        "examples": f"{len(results.examples):,}" if len(results.examples) else "–",
        "cells": cells,
        "motif": motif["target_name"] if motif else "none similar",
        "p": probability(motif["p_value"]) if motif else "",
    }
