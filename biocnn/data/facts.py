"""What a reader of data hands over, checked before anything is made of it: facts, table, targets, and arrays."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from biocnn.config.registry import REGISTRY, resolve
from biocnn.core.errors import InputError
from biocnn.data.raw import Raw
from biocnn.tasks import Task, make_task
from biocnn.tasks.inputs import Input, make_input

_OPEN = ConfigDict(extra="allow", strict=True)  # more facts may be told than are used
Count = Annotated[int, Field(ge=1)]


class SequenceFacts(BaseModel):
    """Facts of sequences; those with a value here may be left out."""

    model_config = _OPEN
    kind: Literal["sequence"]
    task: Literal[*REGISTRY["tasks"]]
    spatial_dims: Literal[1]
    in_channels: Literal[4]
    out_channels: Count
    outputs: Annotated[list[str], Field(min_length=1)]
    alphabet: Literal["ACGT", "ACGU"] = "ACGT"
    iupac: Literal["unknown", "mixed", "error"] = "unknown"
    window: Count | None = None  # bp; None: as the sequences are long, or of different lengths
    flank: Annotated[int, Field(ge=0)] = 0  # bp at both ends of x that are no part of the window


class ImageFacts(BaseModel):
    """Facts of images; those with a value here may be left out."""

    model_config = _OPEN
    kind: Literal["image"]
    task: Literal[*REGISTRY["tasks"]]
    spatial_dims: Literal[2, 3]
    in_channels: Count
    out_channels: Count
    outputs: Annotated[list[str], Field(min_length=1)]
    dtype: str = ""  # of x; as the first image has it
    channels: list[str] = []  # names of the channels; numbers
    spacing: list[Annotated[float, Field(gt=0)]] | None = None
    unit: Literal["um", "mm"] = "um"
    normalise: Literal["auto", "dataset", "image"] = "auto"


def checked(raw: Raw) -> Raw:
    """The same with all facts that later steps use, those that were left out at their defaults.

    Raises
    ------
    InputError
        Where facts, table, targets or arrays are not what ``Raw`` says; names all faults.
    """
    kind = raw.facts.get("kind")
    if kind not in REGISTRY["inputs"]:
        raise _refusal([f"facts: kind is {kind!r}, allowed: {', '.join(REGISTRY['inputs'])}"])
    given = make_input(raw.facts)
    try:
        facts = resolve(given.facts).model_validate(raw.facts).model_dump()
    except ValidationError as error:
        raise _refusal([_fault(one) for one in error.errors()]) from error
    task = make_task(facts)
    faults = [*_of_task(task, given), *_of_table(raw.examples)]
    faults += [*(_of_maps if task.target.spatial else _of_vectors)(raw, task), *resolve(given.check)(raw, facts)]
    if faults:
        raise _refusal(faults)
    table = raw.examples.assign(**{name: raw.examples[name].astype(str) for name in ("id", "group")})
    return replace(raw, examples=table, facts=facts)


def _refusal(faults: list[str]) -> InputError:
    return InputError(
        f"data: what was read cannot be used: {'; '.join(faults)}", "biocnn/data/raw.py says what a Raw holds"
    )


def _fault(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    given = "" if error["type"] == "missing" else f" (given: {error['input']!r})"
    return f"facts: {name}: {error['msg'][:1].lower()}{error['msg'][1:]}{given}"


def _of_task(task: Task, given: Input) -> Iterator[str]:
    if given.name not in task.inputs:
        yield f"facts: task is {task.name}, which is not for {given.examples}"
    if len(set(task.outputs)) < len(task.outputs):
        yield "facts: two outputs have one name"
    yield from (f"facts: {fault}" for fault in task.check_facts())


def _of_table(examples: pd.DataFrame) -> Iterator[str]:
    if not len(examples):
        yield "examples: there are none"
    for name in ("id", "group"):
        if name not in examples:
            yield f"examples: no column {name!r}"
        elif examples[name].isna().any():
            yield f"examples: {name} is missing in a row"
    if "id" in examples:
        twice = [name for name, number in Counter(examples["id"].astype(str)).items() if number > 1]
        if twice:
            yield f"examples: the id {twice[0]!r} comes twice ({len(twice)} such ids)"


def _of_vectors(raw: Raw, task: Task) -> Iterator[str]:
    n, width = len(raw.examples), task.facts["out_channels"]
    y = np.asarray(raw.y)
    if y.shape != (n, width) or y.dtype.kind not in "biuf":
        yield f"y: shape {y.shape} of {y.dtype}, but for {n} examples and {width} outputs numbers of shape {(n, width)}"
    else:
        if np.isinf(y).any():
            yield "y: a target is infinite"
        yield from (f"y: {fault}" for fault in task.check_truth(y))
        if np.isnan(y).all(axis=1).any():
            yield f"y: no target of example {raw.examples.index[np.isnan(y).all(axis=1)][0]} is known (nan)"


def _of_maps(raw: Raw, task: Task) -> Iterator[str]:
    """By the first example; others are read when they are stored."""
    x, y = raw.x(0), raw.y(0) if callable(raw.y) else np.zeros(0)
    if y.shape != x.shape[1:]:
        yield f"y: a map of shape {y.shape} for an example of shape {x.shape}"


def check_sequences(raw: Raw, facts: dict[str, Any]) -> Iterator[str]:
    """What is wrong with sequences; fills in the window."""
    sizes, flank = [], facts["flank"]
    for row in range(len(raw.examples)):
        x = raw.x(row)
        if not (isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.ndim == 1 and x.size and x.max() <= 15):
            told = f"shape {x.shape} of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
            yield f"x: of row {row} {told}, but codes of shape (L,), uint8, from 0 to 15, are needed"
            return
        sizes.append(len(x) - 2 * flank)
    if sizes and min(sizes) < 1:
        yield f"x: a sequence is not longer than its flanks of {flank} bp"
    same = len(set(sizes)) == 1
    if facts["window"] is None and same:
        facts["window"] = sizes[0]
    elif facts["window"] is not None and set(sizes) != {facts["window"]}:
        wrong = next(size for size in sizes if size != facts["window"])
        yield f"facts: window is {facts['window']}, but a sequence has {wrong} bp without its flanks"
    elif flank and not same:
        yield f"facts: flank is {flank}, but sequences differ in length"


def check_images(raw: Raw, facts: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the first image, others are read when they are stored; fills in dtype and channels."""
    x = raw.x(0)
    dims, channels = facts["spatial_dims"], facts["in_channels"]
    if x.ndim != 1 + dims or len(x) != channels:
        yield f"x: shape {x.shape}, but {channels} channels and {dims} axes of space are told"
    facts["dtype"] = facts["dtype"] or str(x.dtype)
    facts["channels"] = facts["channels"] or [str(number) for number in range(1, channels + 1)]
    if len(facts["channels"]) != channels:
        yield f"facts: {len(facts['channels'])} names of {channels} channels"
    if facts["spacing"] and len(facts["spacing"]) != dims:
        yield f"facts: spacing needs {dims} numbers"
