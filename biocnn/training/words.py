"""Fit the model of words that is mixed with a network, and choose their shares on the validation split."""

import time
import warnings
from itertools import chain

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset
from biocnn.metrics.weighted import ratio
from biocnn.nn.words import Words
from biocnn.tasks.vectors import VectorTask
from biocnn.training.linear import fit_path, in_unit, judge, linear, losses
from biocnn.training.metadata import Mixed
from biocnn.training.word_counts import MOST_LETTERS, log_counts, strands_of, thinned

FEW, PENALTY, FITS = 1000, 0.1, 9  # sequences fitted to estimate the time; all penalties take as long as 9 of this one
SAMPLE, COUNTING = 100, 60_000_000  # sequences that represent all; bytes needed while words are counted
LEAST_GAIN = 0.002  # smallest gain of the validation metric for which words are used


def mixes_words(settings: Settings, dataset: Dataset) -> bool:
    """Return whether words are mixed with a network: they predict values of sequences, not distributions."""
    facts = dataset.task.facts_with(settings.loss)
    values = not dataset.task.target.spatial and all(one.form == "value" for one in (facts, *facts.parts))
    return settings.train.words == "auto" and dataset.input.scanned and values


def words_bytes(settings: Settings, dataset: Dataset) -> int:
    """Estimate the peak memory of ``fit_words`` from the words of a few sequences."""
    strands, train = strands_of(settings, dataset.facts), thinned(dataset.x, dataset.rows("train"), MOST_LETTERS)
    few = log_counts(dataset.windows(train[:SAMPLE]), strands)
    each = (few.data.nbytes + few.indices.nbytes) / max(1, few.shape[0])
    # The words of the training split exist twice while they are joined.
    return int(each * (2 * len(train) + len(dataset.rows("val")))) + COUNTING


def words_seconds(settings: Settings, dataset: Dataset, share: float = 1.0) -> float:
    """Estimate the time of ``fit_words``, which is in proportion to the sequences, by fitting some at one penalty.

    ``dataset`` has a ``share`` of the sequences whose words will be fitted.
    """
    if dataset.task.parts:
        return sum(words_seconds(settings, dataset.of_part(part), share) for part in dataset.task.parts)
    train = dataset.rows("train")
    number = min(len(train) / share, MOST_LETTERS / dataset.x.shapes[train].prod(axis=1).mean())
    few = train[:: -(-len(train) // FEW)]
    x = log_counts(dataset.windows(few), strands_of(settings, dataset.facts))
    y, began = dataset.y.stacked(few).astype(float), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # e.g. because no target of an output is known
        fit_path(x, y, x, y, dataset.task, (PENALTY,))
    return FITS * (time.perf_counter() - began) * number / len(few)


def fit_words(
    settings: Settings, dataset: Dataset, z: Tensor, unit: dict[str, list[float]] | None
) -> tuple[Words, Mixed]:
    """Fit words on the training split; choose their penalty, and then their shares, on the validation split.

    Parameters
    ----------
    settings
        Settings of the experiment; determine the strands.
    dataset
        Sequences with one vector each, split as in their fold.
    z
        Logits of the network for the validation split, shape (N, K).
    unit
        Unit of the targets, for regression: the network predicts standard deviations from the mean.

    Returns
    -------
    words, mixed
        The words, in the unit of the network, and how to mix them.
    """
    if dataset.task.parts:
        return _of_parts(settings, dataset, z, unit)
    task, rows, strands = dataset.task, dataset.rows("val"), strands_of(settings, dataset.facts)
    train = thinned(dataset.x, dataset.rows("train"), MOST_LETTERS)
    x, val = (log_counts(dataset.windows(part), strands) for part in (train, rows))
    y, val_y = (dataset.y.stacked(part).astype(float) for part in (train, rows))
    fitted = fit_path(x, y, val, val_y, task)
    weights = fitted.weights
    if unit:
        weights, val_y = in_unit(weights, unit), (val_y - np.array(unit["mean"])) / np.array(unit["sd"])
    words = Words(len(task.outputs), strands)
    words.weight.copy_(torch.from_numpy(weights[:-1]))
    words.intercept.copy_(torch.from_numpy(weights[-1]))
    share, before, after = choose_share(z.cpu().numpy().astype(float), linear(val, weights), val_y, task)
    mixed = Mixed(
        strands=strands,
        share=share.tolist(),
        metric=task.monitored,
        network=[float(value) for value in before],
        mixture=[float(value) for value in after],
        penalty=fitted.penalty.tolist(),
        n=len(train),
    )
    return words, mixed


def _of_parts(
    settings: Settings, dataset: Dataset, z: Tensor, unit: dict[str, list[float]] | None
) -> tuple[Words, Mixed]:
    """Fit the words of each part, by its own metric."""
    each = []
    for part in dataset.task.parts:
        own = {key: values[part.targets] for key, values in unit.items()} if unit and part.task.standardised else None
        each.append(fit_words(settings, dataset.of_part(part), z[:, part.logits], own))
    words = Words(sum(len(one.intercept) for one, _ in each), each[0][1].strands)
    words.weight.copy_(torch.cat([one.weight for one, _ in each], 1))
    words.intercept.copy_(torch.cat([one.intercept for one, _ in each]))
    lists = {
        key: list(chain(*(getattr(mixed, key) for _, mixed in each)))
        for key in ("share", "network", "mixture", "penalty")
    }
    return words, each[0][1].model_copy(update=lists | {"metric": "val_metric"})


def choose_share(
    network: np.ndarray, words: np.ndarray, y: np.ndarray, task: VectorTask
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the share of the network in the mean of two logits, for each output or for all classes together.

    Parameters
    ----------
    network, words, y
        Logits of both, and targets (nan: unknown), of the validation split; shape (N, K).
    task
        Task that determines the metric.

    Returns
    -------
    share, before, after
        Shape (K,): share with the smallest loss, or 1 if the metric gains less than ``LEAST_GAIN`` (and if it cannot
        gain that much, as it is 1 by chance on few examples, the loss does not fall clearly); metric of the network and
        of the mixture.
    """
    # The loss varies less from split to split than the metric: a share with the best metric is often due to chance.
    columns = [slice(None)] if task.exclusive else [slice(k, k + 1) for k in range(y.shape[1])]
    share = np.concatenate(
        [np.full(y[:, k].shape[1], _share(network[:, k], words[:, k], y[:, k], task)) for k in columns]
    )
    before, _ = judge(network, y, task)
    mixture = share * network + (1 - share) * words
    after, _ = judge(mixture, y, task)
    perfect = (before > 1 - LEAST_GAIN) & (after >= before)
    kept = (after >= before + LEAST_GAIN) | (perfect & _clearly_less(mixture, network, y, task))
    return np.where(kept, share, 1.0), before, np.where(kept, after, before)


def _clearly_less(mixture: np.ndarray, network: np.ndarray, y: np.ndarray, task: VectorTask) -> np.ndarray:
    """Return whether the loss of each output is less by more than two standard errors (paired)."""
    lead = losses(network, y, task) - losses(mixture, y, task)
    lead = lead.sum(axis=1, keepdims=True) if task.exclusive else lead
    number = (~np.isnan(lead)).sum(axis=0)
    mean = ratio(np.nansum(lead, axis=0), number)
    return mean > 2 * np.sqrt(ratio(np.nansum((lead - mean) ** 2, axis=0), number * (number - 1)))


def _share(network: np.ndarray, words: np.ndarray, y: np.ndarray, task: VectorTask) -> float:
    """Return the share with the smallest loss after the best scaling and shift of the mean, which do not matter."""
    known = ~np.isnan(y).any(axis=1)
    network, words, y = network[known], words[known], y[known]

    def loss(weights: np.ndarray) -> float:
        return losses(weights[0] * network + weights[1] * words + weights[2:], y, task).sum() / max(1, len(y))

    start = np.array([0.5, 0.5, *np.zeros(y.shape[1])])
    bounds = [(0, None)] * 2 + [(None, None)] * y.shape[1]
    of_network, of_words = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x[:2]
    return round(of_network / (of_network + of_words), 2) if of_network + of_words else 1.0


def describe_words(mixed: Mixed, outputs: list[str]) -> str:
    """Describe the shares in one log line."""
    values = zip(outputs, mixed.share, mixed.network, mixed.mixture, strict=True)
    found = [
        f"{name}: share {1 - share:.2f}, {mixed.metric} {before:.4f} -> {after:.4f}"
        for name, share, before, after in values
        if share < 1
    ]
    if rest := len(outputs) - len(found):
        where = f" for {rest} of {len(outputs)} outputs" if found else ""
        found.append(f"not used{where}: {mixed.metric} would gain less than {LEAST_GAIN}")
    return "words: " + "; ".join(found)
