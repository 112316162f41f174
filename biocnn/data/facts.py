"""Validation of what a data reader returns: facts, table, targets, and arrays."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from biocnn.config.agreement import check_read
from biocnn.config.registry import resolve
from biocnn.config.schema import build
from biocnn.config.settings import Settings
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.covariates import PREFIX
from biocnn.data.raw import Raw
from biocnn.data.signal import survey
from biocnn.io.meme import read_meme
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import faults_of
from biocnn.tasks.inputs import make_input
from biocnn.tasks.target import PARTIAL


def read(source: Any, seed: int, checks: Checks, *more: Any) -> Raw:
    """Read data with a reader, and validate them.

    Raises
    ------
    InputError
        From the reader, or as in ``checked``.
    """
    try:
        raw = source.read(seed, checks, *more)
    except ValidationError as error:
        raise _refusal([f"facts: {fault}" for fault in faults_of(error)]) from error
    raw = checked(raw)
    if raw.signal:
        survey(raw, checks)
    return raw


def read_data(settings: Settings, checks: Checks, genome: Path | None = None) -> Raw:
    """Read and validate the data of an experiment, and check its settings and its motif database against them.

    Parameters
    ----------
    settings
        Settings of the experiment.
    checks
        Receives counts of what was read, repaired and dropped.
    genome
        Genome encoded by ``write_genome``; None: a reader that needs one reads the FASTA file.

    Raises
    ------
    InputError
        As in ``read`` and ``read_meme``, or if settings do not suit the task.
    """
    raw = read(build("data", settings.data), settings.seed, checks, *([genome] if genome else []))
    check_read(settings, make_task(raw.facts))
    database = settings.explain.motifs.database
    if database and database.is_file():  # not if a rule has yet to make it
        read_meme(database, raw.facts.alphabet)
    return raw


def checked(raw: Raw) -> Raw:
    """Validate ``raw``, and add the facts that follow from its arrays if the reader left them out.

    Raises
    ------
    InputError
        If facts, table, targets or arrays violate the contract of ``Raw``; names all faults.
    """
    task = make_task(raw.facts)
    faults = [*(f"facts: {fault}" for fault in raw.facts.faults()), *_of_table(raw.examples)]
    for name in raw.facts.covariates:
        if PREFIX + name not in raw.examples:
            faults.append(f"examples: no column {PREFIX + name!r}")
    if bool(raw.signal) != bool(raw.facts.signal):
        faults.append("facts: signal names the tracks of signal")
    elif raw.signal and (found := raw.signal(0)).shape != (needed := (len(raw.facts.signal), len(raw.x(0)))):
        faults.append(f"signal: shape {found.shape}, but must be {needed}")
    faults += _TRUTHS[task.target.kind](raw, task)
    facts = resolve(make_input(raw.facts).check)(raw, faults)
    if faults:
        raise _refusal(faults)
    table = raw.examples.assign(**{name: raw.examples[name].astype(str) for name in ("id", "group")})
    return replace(raw, examples=table, facts=raw.facts.model_copy(update=facts))


def _refusal(faults: list[str]) -> InputError:
    return InputError(
        f"data: the reader returned invalid data: {'; '.join(faults)}", "see biocnn/data/raw.py for what Raw must hold"
    )


def _of_table(examples: pd.DataFrame) -> Iterator[str]:
    if not len(examples):
        yield "examples: the table is empty"
    for name in ("id", "group"):
        if name not in examples:
            yield f"examples: no column {name!r}"
        elif examples[name].isna().any():
            yield f"examples: {name} is missing in a row"
    if "id" in examples:
        twice = [name for name, number in Counter(examples["id"].astype(str)).items() if number > 1]
        if twice:
            yield f"examples: duplicate id {twice[0]!r} ({plural(len(twice), 'such id')})"


def _of_vectors(raw: Raw, task: Task) -> Iterator[str]:
    n, width = len(raw.examples), task.facts.out_channels
    y = np.asarray(raw.y)
    if y.shape != (n, width) or y.dtype.kind not in "biuf":
        yield f"y: shape {y.shape} of {y.dtype}; {n} examples and {width} outputs need numbers of shape {(n, width)}"
    else:
        if np.isinf(y).any():
            yield "y: a target is infinite"
        yield from (f"y: {fault}" for fault in task.check_truth(y))
        if np.isnan(y).all(axis=1).any():
            yield f"y: all targets of example {raw.examples.index[np.isnan(y).all(axis=1)][0]} are unknown (nan)"


def _of_maps(raw: Raw, task: Task) -> Iterator[str]:
    """Check the first example; others are read when they are stored."""
    x, y = raw.x(0), raw.y(0) if callable(raw.y) else np.zeros(0)
    if y.shape != x.shape[-raw.facts.spatial_dims :]:
        yield f"y: a map of shape {y.shape} for an example of shape {x.shape}"


def _of_values(raw: Raw, task: Task) -> Iterator[str]:
    """Check the first example; others are read when they are stored."""
    y = raw.truth(0)
    facts = task.facts
    needed = (facts.out_channels, *(facts.upscale * n for n in raw.x(0).shape[-facts.spatial_dims :]))
    if y.shape != needed or y.dtype != np.float32:
        yield f"y: values of shape {y.shape} of {y.dtype}, but must be float32 of shape {needed}"


def _of_boxes(raw: Raw, task: Task) -> Iterator[str]:
    """Check the boxes of all examples, but only those of the first against the size of its image."""
    dims, classes = raw.facts.spatial_dims, range(PARTIAL, task.facts.out_channels)
    for row in range(len(raw.examples)):
        y = raw.truth(row) if callable(raw.y) else np.zeros(0)
        if y.ndim != 2 or y.shape[1] != 1 + 2 * dims or y.dtype != np.float32:
            yield f"y: boxes of shape {y.shape} of {y.dtype}, but must be float32 of shape (M, {1 + 2 * dims})"
            return
        start, stop = y[:, 1 : 1 + dims], y[:, 1 + dims :]
        if not (np.isfinite(y).all() and np.isin(y[:, 0], classes).all() and (start < stop).all()):
            yield f"y: boxes of row {row} need labels from {PARTIAL} to {classes[-1]}, and corners in order"
            return
        if row == 0 and not ((start >= 0).all() and (stop <= raw.x(0).shape[1:]).all()):
            yield f"y: a box beyond the image of {' x '.join(map(str, raw.x(0).shape[1:]))} pixels"


_TRUTHS = {"vector": _of_vectors, "map": _of_maps, "values": _of_values, "boxes": _of_boxes}


def check_sequences(raw: Raw, faults: list[str]) -> dict[str, Any]:
    """Check all sequences; derive the window from their length."""
    sizes, facts = [], raw.facts
    for row in range(len(raw.examples)):
        x = raw.x(row)
        if not (isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.ndim == 1 and x.size and x.max() <= 15):
            given = f"shape {x.shape} of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
            faults.append(f"x: row {row} is {given}, but must be codes of shape (L,), uint8, from 0 to 15")
            return {}
        sizes.append(len(x) - 2 * facts.flank)
    if sizes and min(sizes) < 1:
        faults.append(f"x: a sequence is not longer than its flanks of {facts.flank} bp")
    same = len(set(sizes)) == 1
    if facts.window is not None and set(sizes) != {facts.window}:
        wrong = next(size for size in sizes if size != facts.window)
        faults.append(f"facts: window is {facts.window}, but a sequence has {wrong} bp without its flanks")
    elif facts.flank and not same:
        faults.append(f"facts: flank is {facts.flank}, but sequences differ in length")
    return {"window": sizes[0] if same else None}


def check_images(raw: Raw, faults: list[str]) -> dict[str, Any]:
    """Check the first image, because others are read when they are stored; derive data type and channels from it."""
    x, facts = raw.x(0), raw.facts
    if x.ndim != 1 + facts.spatial_dims or len(x) != facts.in_channels:
        needed = f"{facts.in_channels} channels and {facts.spatial_dims} spatial axes"
        faults.append(f"x: shape {x.shape}, but the facts give {needed}")
    names = facts.channels or [str(number) for number in range(1, facts.in_channels + 1)]
    return {"dtype": facts.dtype or str(x.dtype), "channels": names}


def check_bags(raw: Raw, faults: list[str]) -> dict[str, Any]:
    """Check the first image of the first bag, as ``check_images`` does."""
    if (x := raw.x(0)).ndim != 2 + raw.facts.spatial_dims or not len(x):
        faults.append(f"x: shape {x.shape}, but a bag is images of one size, (n, C, *spatial)")
        return {}
    return check_images(replace(raw, x=lambda row: raw.x(row)[0]), faults)
