"""Small data sets, stored as the dataset step stores them: sequences with a planted motif, images of bright discs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.config.schema import Chosen, choose
from biocnn.config.settings import Settings, Split
from biocnn.data.dataset import Dataset, write
from biocnn.data.raw import Raw

MOTIF = np.array([2, 0, 3, 0, 0, 2, 1], np.uint8)  # GATAAGC
DISC = 1000  # brightness of discs above a background of 100


def chosen(*sections: Any) -> list[Chosen]:
    """Names, or mappings with a name."""
    return [choose("augment", section, "augment") for section in sections]


def experiment(
    model: Any = "DeepBind", *, data: str = "Sequences", augment: Any = (), loss: Any = None, **sections: Any
) -> Settings:
    """An experiment with defaults for all that is not given."""
    listed = augment if isinstance(augment, str) else chosen(*augment)
    named = {"model": choose("models", model, "model"), "loss": loss and choose("losses", loss, "loss")}
    return Settings(data=Chosen(name=data), augment=listed, **named, **sections)


def sequences(
    n: int = 60,
    *,
    window: int = 24,
    flank: int = 4,
    seed: int = 0,
    lengths: Sequence[int] | None = None,
    task: str = "binary",
    outputs: Sequence[str] = ("bound",),
) -> Raw:
    """Half of the examples hold the motif; groups of three; with ``lengths``, they differ in length, without flank."""
    rng = np.random.default_rng(seed)
    sizes = [window + 2 * flank] * n if lengths is None else list(lengths)
    codes = [rng.integers(0, 4, size).astype(np.uint8) for size in sizes]
    y = np.zeros((len(codes), len(outputs)), np.float32)
    for row, array in enumerate(codes[::2]):
        start = rng.integers(flank, len(array) - flank - len(MOTIF) + 1)
        array[start : start + len(MOTIF)] = MOTIF
        y[2 * row] = 1
    if task == "regression":
        y += rng.normal(0, 0.1, y.shape).astype(np.float32)
    examples = pd.DataFrame(
        {"id": [f"s{i}" for i in range(len(codes))], "group": [f"g{i // 3}" for i in range(len(y))]}
    )
    facts = {
        "kind": "sequence", "task": task, "spatial_dims": 1, "in_channels": 4, "out_channels": len(outputs),
        "outputs": list(outputs), "alphabet": "ACGT", "window": None if lengths else window,
        "flank": 0 if lengths else flank,
    }  # fmt: skip
    return Raw(examples, codes.__getitem__, y, facts)


def discs(size: tuple[int, int], rng: np.random.Generator, number: int = 3, radius: int = 4) -> np.ndarray:
    """Labels of discs, the later ones on top."""
    labels = np.zeros(size, np.int32)
    rows, columns = np.ogrid[: size[0], : size[1]]
    for label in range(1, number + 1):
        row, column = rng.integers(0, size[0]), rng.integers(0, size[1])
        labels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = label
    return labels


def images(
    n: int = 12, *, size: tuple[int, int] = (32, 32), task: str = "mask", seed: int = 0, channels: int = 1
) -> Raw:
    """Bright discs on a dark background, noisy uint16; classes: even and odd discs differ in brightness."""
    rng = np.random.default_rng(seed)
    labels = [discs(size, rng) for _ in range(n)]
    classes = [np.where(found > 0, 1 + found % 2, 0).astype(np.uint8) for found in labels]
    brightness = [found.astype(float) for found in (classes if task == "classes" else [f > 0 for f in labels])]
    x = [np.clip(100 + DISC * b + rng.normal(0, 30, (channels, *size)), 0, None).astype(np.uint16) for b in brightness]
    y = {"mask": [(found > 0).astype(np.uint8) for found in labels], "classes": classes, "instances": labels}[task]
    outputs = {
        "mask": ["disc"], "classes": ["background", "even", "odd"],
        "instances": ["background", "inside", "boundary", "distance"],
    }[task]  # fmt: skip
    facts = {
        "kind": "image", "task": task, "spatial_dims": 2, "in_channels": channels, "out_channels": len(outputs),
        "outputs": outputs, "channels": [f"c{i}" for i in range(channels)], "spacing": None, "dtype": "uint16",
    }  # fmt: skip
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)]})
    return Raw(examples, x.__getitem__, y.__getitem__, facts)


def stored(raw: Raw, folder: Path, **split: Any) -> Dataset:
    """Write a data set and open it."""
    write(raw, Split(**{"val": 0.25, "test": 0.25, **split}), 1, {}, folder / "dataset")
    return Dataset(folder / "dataset")
