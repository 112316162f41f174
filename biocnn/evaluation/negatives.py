"""Test of the networks on negatives of other kinds than those of the data set.

A network may have learned what sets its kind of negatives apart, for example traces of shuffling, rather than what sets
positives apart. Then it ranks positives above negatives of that kind only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from biocnn import metrics
from biocnn.config.registry import find, own_module
from biocnn.config.schema import build, choose
from biocnn.config.settings import Settings
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.intervals import Intervals
from biocnn.data.leakage import identify
from biocnn.data.loci import loci
from biocnn.data.positives import EncodedExamples, GenomeContext, Positives
from biocnn.data.raw import Raw
from biocnn.data.signal import Signal, nothing, standardised
from biocnn.evaluation.audit import by_split
from biocnn.evaluation.baselines import predict_sequences
from biocnn.evaluation.evaluate import rows_of
from biocnn.io.fasta import PADDING
from biocnn.io.padded import stack
from biocnn.metrics.resampling import interval_text
from biocnn.prediction.model import Model
from biocnn.prediction.stored_predictions import read_predictions
from biocnn.training.metadata import read_metadata

OF_GENOME = ("gc_matched", "random", "flanking")
SHUFFLED = "dinucleotide_shuffled"
LABELLED = "labelled"  # name of negatives that were not made
POSITIVES = "positives"
NETWORK = "network"
MOST = 1000  # negatives of each kind
COLUMNS = ("negatives", "own", "output", "model", "metric", "value", "low", "high", "positives", "n")


@dataclass(frozen=True)
class Scored(EncodedExamples):
    """Examples with the predictions of all models: ``p`` of shape (N, number of models, K)."""

    p: np.ndarray


def write_negatives(
    data: Path, simple: Path, runs: Sequence[Path], settings: Settings, path: Path, genome: Path | None = None
) -> list[str]:
    """Compute the AUROC of the test positives against negatives of each kind, for the network and the baselines.

    Other negatives than those of the data set are drawn where the test positives lie; they overlap no peak, no window
    of a positive, and no window of another split. They are predicted by the runs of the fold whose test positives they
    were drawn for.

    Parameters
    ----------
    data
        Folder of the data set.
    simple
        Folder with the baselines.
    runs
        Folders with model.safetensors and predictions.
    settings
        Settings of the experiment.
    path
        Table to write, with columns as in ``COLUMNS``; one row per kind of negatives, output and model. The network is
        the mean of its runs; ``own`` marks the negatives of the data set; low and high are the 95% confidence interval
        over loci; n counts positives and negatives. No rows unless outputs are yes or no.
    genome
        Genome encoded by ``write_genome``; None: the FASTA file, if one is set.

    Returns
    -------
    lines
        Log lines.
    """
    stored, checks = Dataset(data), Checks()
    lacking = stored.facts.covariates or (stored.facts.signal if own_module(settings.data.name) else [])
    if not (stored.task.positives and stored.input.at_loci) or lacking:
        _write(pd.DataFrame(columns=COLUMNS), path)
        return [f"no negatives: {f'they would have no {lacking[0]}' if lacking else 'outputs are not yes or no'}"]
    torch.set_num_threads(settings.train.threads)
    reader = build("data", settings.data)
    made = getattr(reader, "negatives", None)
    own = choose("negatives", made, "data.negatives").name if made else LABELLED
    table = _of_dataset(stored, simple, runs, settings).assign(negatives=own, own=True)
    folds = [Dataset(data, fold) for fold in range(stored.folds)]
    ratio = min(1, MOST / sum(len(_bound(of_fold)) for of_fold in folds))
    parts: dict[str, list[Scored]] = {}
    for of_fold in folds:
        context = _places(of_fold, reader, genome)
        contigs = stored.examples["chrom"].unique() if stored.signal else ()
        signal = reader.open_signal(reader.read_genome(genome), contigs, Checks()) if stored.signal else None
        drawn = dict(_draw(of_fold, context, own, ratio, settings.seed, checks))
        for kind, part in _score(of_fold, drawn, simple, runs, settings, signal):
            parts.setdefault(kind, []).append(part)
    positives = parts.pop(POSITIVES, [])
    others = [_of_kind(stored, positives, parts[kind], settings).assign(negatives=kind, own=False) for kind in parts]
    names = dict(enumerate([NETWORK, *_names(simple)]))
    table = pd.concat([table, *others])
    table = table.assign(model=table["model"].map(names))[[*COLUMNS]]
    _write(table, path)
    return [*checks.lines(), *_described(table)]


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep="\t", index=False, float_format="%.6g")


def _names(simple: Path) -> list[str]:
    return list(pd.read_csv(simple / "baselines.tsv", sep="\t")["baseline"].unique())


def _of_dataset(stored: Dataset, simple: Path, runs: Sequence[Path], settings: Settings) -> pd.DataFrame:
    """Judge the models by the test split, with stored predictions."""
    network = by_split(stored.task, [read_predictions(run / "predictions") for run in runs])["test"]
    baselines = by_split(stored.task, [read_predictions(simple)])["test"].loc[network.index]
    p = np.concatenate([network, baselines], axis=1).reshape(len(network), -1, network.shape[1])
    rows = rows_of(stored, network.index.to_series())
    return _judge(stored, p, stored.y.stacked(rows), stored.loci[rows], settings)


def _of_kind(stored: Dataset, positives: list[Scored], negatives: list[Scored], settings: Settings) -> pd.DataFrame:
    """Judge the models by positives and one kind of negatives, of all folds."""
    every = [*positives, *negatives]
    table = pd.concat([part.examples for part in every], ignore_index=True)
    codes, p = stack(*(part.codes for part in every)), np.concatenate([part.p for part in every])
    bound = np.concatenate([stored.y.stacked(part.examples.index.to_numpy()) for part in positives]) == 1
    y = np.zeros((len(p), bound.shape[1]))
    y[: len(bound)] = np.where(bound, 1, np.nan)
    raw = Raw(table, lambda row: codes[row, codes[row] != PADDING], y, stored.facts)
    return _judge(stored, p, y, loci(identify(raw), table), settings)


def _places(stored: Dataset, reader: object, genome: Path | None) -> GenomeContext | None:
    """Return where further negatives may lie: apart from the windows of the other splits with their flanks."""
    if not (isinstance(reader, Intervals) and reader.positives):
        return None
    context, flank = reader.surroundings(stored.examples, Checks(), genome), stored.facts.flank
    seen = stored.examples.loc[stored.examples["split"] != "test", ["chrom", "start", "end"]]
    seen = seen.assign(start=seen["start"] - flank, end=seen["end"] + flank)
    return replace(context, closed=pd.concat([context.closed[[*seen]], seen], ignore_index=True))


def _bound(stored: Dataset) -> np.ndarray:
    """Return the rows of the test split that are positives of any output."""
    rows = stored.rows("test")
    return rows[(stored.y.stacked(rows) == 1).any(axis=1)]


def _draw(
    stored: Dataset, context: GenomeContext | None, own: str, ratio: float, seed: int, checks: Checks
) -> Iterator[tuple[str, EncodedExamples]]:
    """Yield the test positives of a fold, and each other kind of negatives for them."""
    rows = _bound(stored)
    positives = Positives(stored.examples.iloc[rows], stored.padded(rows), lambda path: None, context)
    yield POSITIVES, positives
    for kind in (*(OF_GENOME if context else ()), SHUFFLED):
        rng, counts = np.random.default_rng([seed, stored.fold, *kind.encode()]), Checks()
        try:
            if kind != own:
                yield kind, find("negatives", kind)(positives, rng, counts, ratio=ratio)
        except InputError as error:  # e.g. no room in the genome
            counts.add(kind, "note", f"none: {error.message}", 1)
        for _, outcome, reason, count, example in counts.rows:
            checks.add(kind, outcome, reason, count, example)


def _score(
    stored: Dataset,
    drawn: dict[str, EncodedExamples],
    simple: Path,
    runs: Sequence[Path],
    settings: Settings,
    signal: Signal | None = None,
) -> Iterator[tuple[str, Scored]]:
    """Predict examples by the mean of the runs of a fold, and by its baselines."""
    files = [run / "model.safetensors" for run in runs]
    files = [file for file in files if read_metadata(file).fold == stored.fold]
    models = [Model(file, trust=[own_module(settings.model.name)]) for file in files]
    flank = stored.facts.flank
    for kind, part in drawn.items():
        codes = part.codes[:, flank : part.codes.shape[1] - flank]
        values = signal.windows(part.examples) if signal else nothing(len(codes))
        beside = {name: values[:, k] for k, name in enumerate(stored.facts.signal)} or None
        network = np.mean([model.predict(codes, signal=beside) for model in models], axis=0)
        standard = standardised(stored.facts.signal_tracks, values)
        baselines = predict_sequences(simple, stored.fold, codes, standard, stored.task)
        yield kind, Scored(part.examples, part.codes, np.concatenate([network[:, None], baselines], axis=1))


def _judge(stored: Dataset, p: np.ndarray, y: np.ndarray, units: np.ndarray, settings: Settings) -> pd.DataFrame:
    """Return a row per output and model (its number): AUROC with confidence interval over loci."""
    found = []
    for k, output in enumerate(stored.task.outputs):
        target, scores, unit = metrics.labelled(y[:, k], p[:, :, k], units)
        for model, score in enumerate(scores.T):
            low, high = metrics.bootstrap(
                metrics.auroc, score, target, seed=settings.seed, n=settings.metrics.resamples, groups=unit
            )
            value = {"value": metrics.auroc(score, target), "low": low, "high": high}
            counts = {"positives": int(target.sum()), "n": len(target)}
            found.append({"output": output, "model": model, "metric": "auroc", **value, **counts})
    return pd.DataFrame(found)


def _described(table: pd.DataFrame) -> Iterator[str]:
    for row in table[table["value"].notna() & (table["model"] == NETWORK)].itertuples():
        interval = interval_text(row.low, row.high, ".4g")
        yield f"test {row.output}: AUROC against {row.negatives} = {row.value:.4g}{interval}"
