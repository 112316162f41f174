"""The section on calibration: trials of settings and their validation metrics."""

import json

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from biocnn.config.settings import Settings
from biocnn.core.errors import InputError
from biocnn.core.palette import BLUE, VERMILION
from biocnn.core.plurals import plural
from biocnn.report.blocks import Section, Table, Text, short, table
from biocnn.report.figures import FAINT, MUTED, Gallery, letter, new_figure
from biocnn.report.headline import metric_name, number
from biocnn.report.results import Results

_BEST = 10  # rows of the table, over all folds


def calibration(results: Results, settings: Settings, gallery: Gallery) -> Section:
    """Show the best trials in a table, and all trials against each drawn setting in a figure."""
    section = Section("calibration", "Choice of the network" if settings.calibrate.candidates else "Calibration")
    draw = settings.calibrate.draw or {}
    trials = _trials(results)
    if not len(trials) or not set(draw) <= set(trials):
        return section
    folds, metric = trials["fold"].nunique(), metric_name(trials["metric"].iloc[0])
    if settings.calibrate.candidates:
        section.blocks.extend([Text(_compared(trials, metric)), _candidates(trials, metric, folds)])
        return section
    section.blocks.append(Text(_described(trials, metric)))
    section.blocks.append(_table(trials, list(draw), metric, folds))
    caption = f"Validation {metric} of each trial (mean and standard deviation over inner folds) against each setting."
    caption += f" Red: best trial{' of each fold' if folds > 1 else ''}; white centre: settings of the experiment file."
    alt = f"Validation {metric} of {plural(len(trials), 'trial')} against {', '.join(draw)}"
    section.blocks.append(gallery.add("calibration", against_settings(trials, draw, metric), alt, caption))
    return section


def _trials(results: Results) -> pd.DataFrame:
    """Read ``trials.tsv`` of all folds, including failed trials, with a column fold."""
    found = []
    for fold in range(len(results.facts.folds) or 1):
        trials = results.table(path := f"calibrate/fold{fold}/trials.tsv")
        if len(trials) and (lacking := {"round", "loss"} - set(trials)):
            raise InputError(
                f"{results.folder / path}: no column {', '.join(sorted(lacking))}",
                "another version of biocnn wrote it: run `biocnn calibrate` again, as the workflow does",
            )
        found += [trials.assign(fold=fold)] if len(trials) else []
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _described(trials: pd.DataFrame, metric: str) -> str:
    folds = trials["fold"].nunique()
    parts = [name for name in trials if name.startswith("part")]
    tried = trials["trial"].nunique() - 1
    first = trials[trials["rank"] == 1]
    own = trials[trials["trial"] == 0]
    gain = (first["mean"].to_numpy() - own["mean"].to_numpy()).mean() if len(own) == len(first) else np.nan
    words = (
        f"{tried} random settings and those of the experiment file (trial 0) were each trained on {len(parts)} inner "
        f"folds of the training and validation splits{', separately for each fold' if folds > 1 else ''}; test "
        f"examples were not used. The runs use the settings with the highest mean validation {metric}."
    )
    if np.isfinite(gain):
        words += f" It is {number(abs(gain))} {'above' if gain >= 0 else 'below'} that of the settings of the file"
        words += f", on average over {folds} folds." if folds > 1 else "."
        words += " The best of many trials is an optimistic estimate; the test split gives an unbiased one."
    return words + _failures(trials)


def _compared(trials: pd.DataFrame, metric: str) -> str:
    parts = [name for name in trials if name.startswith("part")]
    where = (
        "the validation split" if len(parts) == 1 else f"{len(parts)} inner folds of the training and validation splits"
    )
    words = f"{plural(trials['trial'].nunique(), 'candidate')} were trained briefly and compared on {where}; test "
    words += "examples were not used."
    if (trials["round"] > 1).any():
        words += " The best two were close and trained once more, for longer."
    words += f" The runs use the one with the highest validation {metric}"
    if trials["se"].notna().any():
        words += ", or the one with the lowest validation loss among those at most two standard errors behind it"
        words += " (paired bootstrap of the validation examples)"
    words += "."
    return words + _failures(trials)


def _failures(trials: pd.DataFrame) -> str:
    failed = int(trials["mean"].isna().sum())
    return f" {plural(failed, 'trial')} diverged or had no metric in an inner fold." if failed else ""


def _candidates(trials: pd.DataFrame, metric: str, folds: int) -> Table:
    """List the candidates by rank: network, its settings and those of the training."""
    rows, train = [], [name for name in trials if name.startswith("train.")]
    for _, row in trials.iterrows():
        model = json.loads(row["model"]) if isinstance(row.get("model"), str) else {"name": ""}
        given = model | {key.removeprefix("train."): row[key] for key in train if not pd.isna(row[key])}
        named = ", ".join(f"{key} {_value(value)}" for key, value in given.items() if key != "name")
        score = "" if pd.isna(row["mean"]) else number(row["mean"])
        loss = "" if pd.isna(row["loss"]) else number(row["loss"])
        about = [row["rank"], model["name"], named, row["round"], score, loss, f"{number(row['seconds'], 1)} s"]
        rows.append([*[row["fold"]] * (folds > 1), *about])
    header = [*["Fold"] * (folds > 1), "Rank", "Network", "Settings", "Round", metric, "Loss", "Time"]
    return table("Candidates.", header, rows, f"Rank,Round,{metric},Loss,Time", "calibrate/fold*/trials.tsv")


def _table(trials: pd.DataFrame, drawn: list[str], metric: str, folds: int) -> Table:
    shown = trials[trials["rank"] <= max(1, _BEST // folds)]
    own = trials[(trials["trial"] == 0) & ~trials.index.isin(shown.index)] if folds == 1 else trials[:0]
    rows = []
    for _, row in pd.concat([shown, own]).iterrows():
        mean = "" if pd.isna(row["mean"]) else f"{number(row['mean'])} ± {number(row['sd'])}"
        name = "file" if row["trial"] == 0 else row["trial"]
        values = [_value(row[key]) for key in drawn]
        rows.append([*[row["fold"]] * (folds > 1), row["rank"], name, mean, *values, f"{number(row['seconds'], 1)} s"])
    header = [*["Fold"] * (folds > 1), "Rank", "Trial", metric, *drawn, "Time"]
    caption = f"Best trials: validation {metric}, mean ± standard deviation over inner folds. File: experiment file."
    return table(caption, header, rows, ",".join(header), "calibrate/fold*/trials.tsv")


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def against_settings(trials: pd.DataFrame, draw: dict, metric: str) -> Figure:
    """Draw the mean metric of each trial against each setting, one panel per setting.

    Parameters
    ----------
    trials
        Table with columns trial, rank, mean, sd, and one per setting.
    draw
        Distribution that each setting was drawn from.
    metric
        Name of the metric.
    """
    columns = min(4, len(draw))
    rows = -(-len(draw) // columns)
    figure = new_figure(2.1 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, symbol, (key, choices) in zip(panels, "abcdefghijklmnop", draw.items(), strict=False):
        kind, values = next(iter(choices.items()))
        _panel(axes, trials, _places(trials[key], kind, values))
        letter(axes, symbol if len(draw) > 1 else "", key)
        axes.margins(x=0.06)
        if kind == "log_uniform":
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
            if values[1] / values[0] < 1000:
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_major_formatter("{x:g}")
        if kind == "choice":
            axes.set_xticks(range(len(values)), [short(value, 12) for value in values])
            axes.set_xlim(-0.6, len(values) - 0.4)
    for axes in panels[::columns]:
        axes.set_ylabel(f"Validation {metric}")
    for axes in panels[len(draw) :]:
        axes.set_visible(False)
    return figure


def _places(column: pd.Series, kind: str, values: list) -> np.ndarray:
    """Return positions on the x axis, nan for none; choices are spread by fixed offsets, so that figures repeat."""
    if kind != "choice":
        places = column.to_numpy(float)
        return np.where(places > 0, places, np.nan) if kind == "log_uniform" else places
    places = np.full(len(column), np.nan)
    for i, value in enumerate(values):
        alike = column == value if isinstance(value, int | float) else column.astype(str) == str(value)
        places[alike.to_numpy()] = i
    return places + (np.arange(len(column)) * 0.618034 % 1 - 0.5) * 0.5


def _panel(axes: Axes, trials: pd.DataFrame, places: np.ndarray) -> None:
    axes.errorbar(places, trials["mean"], trials["sd"], fmt="none", ecolor=FAINT, elinewidth=0.8, zorder=1)
    first, own = (trials["rank"] == 1).to_numpy(), (trials["trial"] == 0).to_numpy()
    for rows, style in (
        (~first, {"color": BLUE, "markersize": 3.5}),
        (first, {"color": VERMILION, "markersize": 5.5}),
        (own, {"color": "white", "markersize": 1.8}),
    ):
        axes.plot(places[rows], trials["mean"][rows], "o", markeredgewidth=0, **style)
    axes.grid(axis="y", color=FAINT, linewidth=0.4, alpha=0.6)
    axes.tick_params(axis="x", which="minor", length=1.5, color=MUTED)
