"""Predictions of new sequences: from FASTA, from a table, or from intervals of a genome."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from biocnn.apply.covariates import notes as covariate_notes
from biocnn.apply.images import APPLY, Applied, New, apply_each
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.files import suffixes_of
from biocnn.data.covariates import given
from biocnn.data.signal import standardised
from biocnn.data.windows import Windows
from biocnn.io.bed import write_bed
from biocnn.io.contigs import UnknownContig
from biocnn.io.fasta import UNKNOWN, encode, read_fasta, reverse_complement
from biocnn.io.genome import either_genome
from biocnn.io.tables import read_table
from biocnn.prediction.compatibility import Note, agree
from biocnn.prediction.inputs import check_length, coded
from biocnn.prediction.model import Model
from biocnn.prediction.new_signal import check_names, open_signal

log = logging.getLogger("biocnn")

MAX_UNKNOWN = 0.5  # share of unknown bases up to which windows are trained on, unless set
FASTA, BED, TABLES = (".fa", ".fasta", ".fna", ".fas"), (".bed", ".narrowpeak"), (".tsv", ".csv", ".txt")
PLACE = ["chrom", "start", "end", "strand"]


class NewSequences(NamedTuple):
    """Codes of sequences, (L,) each, and a table with a row for each.

    ``table`` has the column sequence (its name); chrom, start, end and strand if they are windows of a genome; and
    those of a table as given. ``signal`` are the values of the tracks that the model needs, (S, L) each, if any.
    """

    codes: list[np.ndarray]
    table: pd.DataFrame
    signal: Sequence[np.ndarray] = ()

    @property
    def places(self) -> list[dict[str, Any]]:
        """Name and position of each."""
        return self.table[[name for name in ("sequence", *PLACE) if name in self.table]].to_dict("records")


def read_new(
    path: Path,
    model: Model,
    genome: Path | None,
    checks: Checks,
    on_error: str = APPLY.on_error,
    signal: Mapping[str, Path] | None = None,
) -> NewSequences:
    """Read new sequences for a model; the name of the file determines its format.

    Parameters
    ----------
    path
        FASTA; BED or narrowPeak, of which windows are cut as in training: around the summit, else the middle of an
        interval, on its strand; or a tab-separated table with a column sequence, and id if they have names. Plain or
        gzip.
    model
        Model for sequences.
    genome
        FASTA file or folder from ``biocnn genome``, for intervals.
    checks
        Receives counts of what was read, repaired and dropped.
    on_error
        What to do with intervals on contigs that the genome lacks: ``skip`` them, or ``stop``.
    signal
        bigWig files of the tracks that the model needs, by name, for intervals.
    """
    facts = model.facts
    suffix = next((one for one in reversed(path.suffixes) if one.lower() not in (".gz", ".bgz")), "").lower()
    if genome is not None and suffix not in BED:
        raise InputError(f"--genome: {path} has no intervals", f"leave it out, or give a file {' '.join(BED)}")
    if facts.signal and suffix in (*FASTA, *TABLES):
        raise InputError(
            f"{path}: the model also needs {', '.join(facts.signal)} along the bases, which a file of sequences lacks",
            "give intervals (BED) with --genome and --signal; in Python, models take sequences and signal=...",
        )
    if suffix not in BED and not facts.signal:
        check_names(model, signal, "")
    if suffix in FASTA:
        records = list(read_fasta(path, facts.iupac))
        return NewSequences([one.codes for one in records], pd.DataFrame({"sequence": [one.name for one in records]}))
    if suffix in TABLES:
        rows = read_table(path, "sequence")
        codes = [encode(text, facts.iupac, f"{path} line {line}") for line, text in rows["sequence"].items()]
        names = rows["id"] if "id" in rows else "line " + rows.index.astype(str)
        return NewSequences(codes, rows.assign(sequence=list(names)).reset_index(drop=True))
    if suffix in BED:
        if genome is None:
            raise InputError(f"{path}: intervals of which genome?", "give --genome: a FASTA file")
        return _of_intervals(path, model, genome, checks, on_error, signal)
    raise InputError(
        f"{path}: not a file of sequences by its name",
        f"allowed: {' '.join((*FASTA, *BED, *TABLES))}, plain or .gz; the model is for sequences",
    )


def _of_intervals(
    path: Path, model: Model, genome: Path, checks: Checks, on_error: str, signal: Mapping[str, Path] | None
) -> NewSequences:
    """Cut windows around intervals, or the intervals themselves if lengths vary or each base is predicted."""
    facts = model.facts
    opened, skip = either_genome(genome, facts.iupac), on_error == "skip"
    closed = pd.DataFrame({"chrom": pd.Series(dtype=object), "start": np.empty(0, int), "end": np.empty(0, int)})
    windows = Windows(opened, facts.window or 1, 0, "auto", False, skip, 1.0, checks, closed)
    try:
        peaks = windows.read(path)
    except UnknownContig as error:
        remedy = "give the genome of these intervals; --on-error skip leaves out those on contigs that it lacks"
        raise InputError(error.message, remedy) from error
    for source, outcome, reason, number, example in checks.rows:
        if outcome == "dropped":
            log.warning("%s: dropped %d %s (%s)", source, number, reason, example)
    tracks = open_signal(model, signal, opened, peaks["chrom"].unique(), checks)
    if facts.window and not model.task.target.spatial:
        part = windows.around(peaks, path.name)
        values = list(tracks.windows(part.examples)) if tracks else []
        return NewSequences(list(part.codes), part.examples.rename(columns={"id": "sequence"}), values)
    codes = [opened.codes(row.chrom, row.start, row.end) for row in peaks.itertuples()]
    turned = [reverse_complement(one) if s == "-" else one for one, s in zip(codes, peaks["strand"], strict=True)]
    names = [f"{row.chrom}:{row.start}-{row.end}({row.strand})" for row in peaks.itertuples()]
    each = [tracks.along(row.chrom, row.start, row.end) for row in peaks.itertuples()] if tracks else []
    each = [one[:, ::-1] if s == "-" else one for one, s in zip(each, peaks["strand"], strict=bool(tracks))]
    return NewSequences(turned, peaks.assign(sequence=names), each)


def apply_sequences(
    path: Path,
    models: Sequence[Model],
    folder: Path,
    *,
    genome: Path | None = None,
    covariates: Path | None = None,
    signal: Mapping[str, Path] | None = None,
    on_error: str = APPLY.on_error,
) -> dict[str, int]:
    """Apply models to new sequences, as ``biocnn.apply.images.apply_images`` does to images.

    Parameters
    ----------
    path, genome, signal
        As for ``read_new``; a table has the covariates as columns, too.
    models, on_error
        As for images.
    folder
        Receives predictions.csv, a row for each sequence; for intervals predictions.bed, with probabilities as scores
        (predictions.NAME.bed if there are several outputs); and counts.tsv. For models of bases, predictions.csv has
        the means over bases, and maps.npz an array (K, L) for each row, named by its number from 0.
    """
    agree(models, "sequence")
    if covariates is not None:
        raise InputError("--covariates: is for images", "add columns to the table of sequences")
    checks, facts, task = Checks(), models[0].facts, models[0].task
    new = read_new(Path(path), models[0], genome, checks, on_error, signal)
    names = [one.name for one in facts.coded]
    if lacking := [name for name in names if name not in new.table]:
        columns = ", ".join(["sequence", *names])
        raise InputError(f"{path}: no column {lacking[0]!r}", f"give a tab-separated table with the columns {columns}")
    known = given(facts.coded, new.table, lambda row: f"{path}: {new.table['sequence'][row]!r}")
    found = predicted(new, models)
    if task.target.spatial:
        np.savez_compressed(folder / "maps.npz", **{str(k): p for k, p in found.items() if isinstance(p, np.ndarray)})
    trained = models[0].meta.experiment.data.max_unknown
    share = MAX_UNKNOWN if trained is None else trained

    def apply(row: int) -> Applied:
        p = found[row]
        if isinstance(p, InputError):
            raise p
        notes = list(covariate_notes(facts.coded, known.loc[[row]]))
        if (new.codes[row] == UNKNOWN).mean() > share:
            notes.append(Note("note", f"more than {share:.0%} unknown bases, which were left out of training"))
        for name, values in zip(facts.signal, new.signal[row] if new.signal else (), strict=True):
            if np.isnan(values).all():
                notes.append(Note("note", f"{name} has no value here: the mean of the training split is used"))
        described = dict(zip(task.outputs, p.mean(axis=1), strict=True)) if task.target.spatial else task.describe(p)
        return Applied("predictions.csv", [described], notes, finish=None if task.target.spatial else finish)

    def finish(folder: Path, table: pd.DataFrame, _others: dict[str, pd.DataFrame]) -> None:
        if not (task.positives or task.exclusive) or not set(PLACE) <= set(table):
            return
        kept = table[table["skipped"].isna()] if "skipped" in table else table
        kept = kept.rename(columns={"sequence": "name"}).assign(start=kept["start"].clip(0))
        for output, suffix in zip(task.outputs, suffixes_of(task.outputs), strict=True):
            write_bed(folder / f"predictions{suffix}.bed", kept.assign(score=kept[f"probability_{output}"]))

    each = [New(place, partial(apply, row)) for row, place in enumerate(new.places)]
    return apply_each(each, "sequences", {}, folder, on_error, checks)


def predicted(new: NewSequences, models: Sequence[Model]) -> dict[int, np.ndarray | InputError]:
    """Predict sequences together, as ``Model.predict`` does; the fault of those that do not fit.

    Returns
    -------
    predictions
        Of each sequence, shape (models, K), or of each base, the mean (K, L).
    """
    task = models[0].task
    window = None if task.target.spatial else models[0].facts.window
    found: dict[int, np.ndarray | InputError] = {}
    for row, codes in enumerate(new.codes):
        try:
            check_length(
                codes, f"sequence {new.table['sequence'].iloc[row]!r}", None if task.target.spatial else window
            )
        except InputError as error:
            found[row] = error
    rows = [row for row in range(len(new.codes)) if row not in found]
    codes = [new.codes[row] for row in rows]
    signal = [new.signal[row] for row in rows] if new.signal else []
    if task.target.spatial:
        names = models[0].facts.signal
        beside = {name: [one[k] for one in signal] for k, name in enumerate(names)} if names else None
        maps = zip(*(model.predict(codes, signal=beside) for model in models), strict=True)
        return found | {row: np.mean(each, axis=0) for row, each in zip(rows, maps, strict=True)}
    covariates = new.table.loc[rows] if models[0].facts.coded else None
    z = [coded(model, covariates, len(rows)) for model in models]
    tracks = [standardised(model.facts.signal_tracks, np.stack(signal)) if signal else None for model in models]
    every = [model.settled(model._sequences(codes, *beside)) for model, *beside in zip(models, z, tracks, strict=True)]
    return found | dict(zip(rows, np.stack(every, axis=1), strict=True))
