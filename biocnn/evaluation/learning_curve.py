"""Learning curve: the error by the number of training examples, and whether more of them would help."""

from collections.abc import Sequence
from math import log2
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset
from biocnn.evaluation.evaluate import ENSEMBLE, evaluate_stored
from biocnn.training.metadata import read_metadata

ALL = 1.0  # share of the runs of the experiment itself
SMALL = 0.05  # of an error, below which the gain by twice as many examples is small


def learning_curve(dataset: Dataset, metrics: Path, runs: Sequence[Path], settings: Settings) -> pd.DataFrame:
    """Evaluate runs on shares of the training split like those on all of it.

    Parameters
    ----------
    dataset
        Data set of the experiment.
    metrics
        Table of the runs on the whole training split, metrics.tsv, beside the folder ``runs`` of these.
    runs
        Folders of the runs on shares, with model.safetensors and predictions.
    settings
        Settings of the experiment.

    Returns
    -------
    table
        Columns of metrics.tsv, without ensembles, after share and n_train (number of examples that a run was trained
        on); ``run`` names fold and seed, which runs on different shares have in common.
    """
    names = {"run": str, "split": str, "output": str, "unit": str}
    whole = pd.read_csv(metrics, sep="\t", dtype=names, keep_default_na=False, na_values={"value": [""]})
    counted = whole["run"].str.fullmatch(r"fold\d+-seed\d+")
    every = [(ALL, metrics.parent / "runs" / run, rows) for run, rows in whole[counted].groupby("run")]
    for run in runs:
        found = evaluate_stored(dataset, [run], settings.metrics, settings.seed, settings.split.group).metrics
        every.append((float(run.name.partition("-share")[2]), run, found[found["run"] != ENSEMBLE]))
    tables = []
    for share, run, rows in every:
        facts = read_metadata(run / "model.safetensors").facts
        assert facts.n
        tables.append(rows.assign(run=run.name.partition("-share")[0], share=share, n_train=facts.n.train))
    table = pd.concat(tables, ignore_index=True).sort_values(["share", "run"], kind="stable")
    return table[["share", "n_train", *whole.columns]]


class Trend(NamedTuple):
    """The fall of the error from the largest share to all training examples.

    Parameters
    ----------
    start, end
        Mean number of training examples of both.
    before, after
        Mean errors.
    noise
        Half-width of the 95% confidence interval of the fall, from differences between runs with the same fold and
        seed; nan for one run.
    doubling
        Fall of the error when the number of examples doubles, at the rate of this step.
    most
        Upper end of the 95% confidence interval of that fall.
    verdict
        Whether more examples would help: ``yes``, ``little`` (even the most is a small gain), ``unclear``.
    """

    start: float
    end: float
    before: float
    after: float
    noise: float
    doubling: float
    most: float
    verdict: Literal["yes", "little", "unclear"]


def trend(errors: pd.DataFrame) -> Trend:
    """Judge a learning curve.

    Parameters
    ----------
    errors
        One row for each run and share, with columns run, share, n_train and error; at least two shares, and the same
        runs for each. The noise of all steps from share to share is pooled.
    """
    table = errors.pivot(index="run", columns="share", values="error").sort_index(axis=1).dropna()
    sizes = errors.groupby("share")["n_train"].mean().sort_index()
    steps = table.to_numpy()[:, :-1] - table.to_numpy()[:, 1:]
    number, freedom = len(steps), steps.shape[1] * (len(steps) - 1)
    noise = np.nan
    if freedom:
        spread = np.sqrt(((steps - steps.mean(0)) ** 2).sum() / freedom)
        noise = float(student.ppf(0.975, freedom) * spread / np.sqrt(number))
    fall, after = float(steps[:, -1].mean()), float(table.iloc[:, -1].mean())
    start, end = (float(n) for n in sizes.iloc[-2:])
    doubling, most = (gain / log2(end / start) for gain in (fall, fall + noise))
    verdict: Literal["yes", "little", "unclear"] = "unclear"
    if fall > noise:
        verdict = "yes"
    elif most < SMALL * after:
        verdict = "little"
    return Trend(start, end, after + fall, after, noise, doubling, most, verdict)
