"""Small data sets, stored like by the step dataset: sequences with a planted motif, images of bright discs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from biocnn.config.registry import find
from biocnn.config.schema import Chosen, choose
from biocnn.config.settings import Settings, Split
from biocnn.data.dataset import Dataset
from biocnn.data.frame import has_frame
from biocnn.data.raw import Raw
from biocnn.data.storing import write
from biocnn.io.ragged import Ragged
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import Facts, Part
from biocnn.training.metadata import Metadata

MOTIF = np.array([2, 0, 3, 0, 0, 2, 1], np.uint8)  # GATAAGC
DISC = 1000  # brightness of discs above a background of 100


def chosen(*sections: Any) -> list[Chosen]:
    """Return functions given by name, or by a mapping with name and settings."""
    return [choose("augment", section, "augment") for section in sections]


def experiment(
    model: Any = "DeepBind", *, data: str = "Sequences", augment: Any = (), loss: Any = None, **sections: Any
) -> Settings:
    """Return an experiment with defaults for everything not given."""
    listed = augment if isinstance(augment, str) else chosen(*augment)
    named = {"model": choose("models", model, "model"), "loss": loss and choose("losses", loss, "loss")}
    return Settings(data=Chosen(name=data), augment=listed, **named, **sections)


def sequence_facts(**told: Any) -> Facts:
    """Return facts of sequences, by default with binary outputs."""
    told = {"spatial_dims": 1, "in_channels": 4, "outputs": ["bound"]} | told
    told = {"task": "multilabel" if len(told["outputs"]) > 1 else "binary"} | told
    return Facts(kind="sequence", **{"out_channels": len(told["outputs"])} | told)


def image_facts(**told: Any) -> Facts:
    """Return facts of images, by default planes of one channel with masks."""
    told = {"task": "mask", "spatial_dims": 2, "outputs": ["disc"], "channels": ["grey"]} | told
    return Facts(kind="image", **{"in_channels": len(told["channels"]), "out_channels": len(told["outputs"])} | told)


def task_of(name: str, **told: Any) -> Task:
    """Return a task with suitable facts."""
    made = image_facts if "image" in find("tasks", name).inputs else sequence_facts
    if name == "several":
        told = {"outputs": ["round", "long", "alive", "area"]} | told
        told |= {"parts": parts_of(told["outputs"])} if len(told["outputs"]) > 3 else {}
    return make_task(made(task=name, **told))


def parts_of(outputs: Sequence[str]) -> list[Part]:
    """Return two classes, yes or no, and numbers as parts of four or more outputs."""
    tasks = {"kind": ("multiclass", outputs[:2]), "yes": ("binary", outputs[2:3]), "size": ("regression", outputs[3:])}
    return [Part(name=name, task=task, outputs=list(named)) for name, (task, named) in tasks.items()]


def metadata(model: Chosen, facts: Facts, **more: Any) -> Metadata:
    """Return the metadata that a training on one thread stores with the weights of such a network."""
    frame = {"size": list(map(int, facts.sizes.median)), "fit": "crop"} if has_frame(facts) else {}
    trained = {"model": model.model_dump(mode="json"), "train": {"threads": 1, **frame}}
    return Metadata(**{"experiment": trained, "facts": facts} | more)


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
    """Return sequences, half of them with the motif, in groups of three; with ``lengths``, of different lengths."""
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
    told = {"window": None, "flank": 0} if lengths else {"window": window, "flank": flank}
    return Raw(examples, codes.__getitem__, y, sequence_facts(task=task, outputs=list(outputs), **told))


def annotated(n: int = 60, *, window: int = 48, classes: int = 1, seed: int = 0) -> Raw:
    """Return windows whose bases are of a class in the motif, on either strand, and background; every third has none.

    The first base of each window is unknown. With two classes, the second is the first half of the motif.
    """
    raw = sequences(n, window=window, flank=0, seed=seed)
    codes = [raw.x(row).copy() for row in range(n)]
    y, rng = np.zeros((n, window), np.uint8), np.random.default_rng([seed, 1])
    for row in range(n):
        start, width = int(rng.integers(1, window - len(MOTIF))), len(MOTIF)
        if row % 3:
            backward = bool(rng.random() < 0.5)
            codes[row][start : start + width] = 3 - MOTIF[::-1] if backward else MOTIF
            y[row, start : start + width] = classes
            half = slice(start + width // 2 + 1, start + width) if backward else slice(start, start + width // 2)
            y[row, half] = 1
        y[row, 0] = 255
    outputs = ["site"] if classes == 1 else ["background", "half", "site"]
    facts = sequence_facts(task="mask" if classes == 1 else "classes", outputs=outputs, window=window)
    return Raw(raw.examples, codes.__getitem__, y.__getitem__, facts)


def profiled(n: int = 60, *, window: int = 48, stranded: bool = True, seed: int = 0) -> Raw:
    """Return windows with counts on both strands around the motif of ``annotated``: first those of plus, then minus.

    Four bases at each end are context; the fifth base is unknown.
    """
    raw, rng = annotated(n, window=window, seed=seed), np.random.default_rng([seed, 2])
    y = np.full((n, 2, window), 0.2, np.float32)
    for row in range(n):
        inside = np.flatnonzero(raw.y(row) == 1)
        for k, place in enumerate((inside.min() - 2, inside.max() + 2) if len(inside) else ()):
            y[row, k, max(0, place - 1) : place + 2] += 20
    y = rng.poisson(y).astype(np.float32)
    y[:, :, [*range(5), *range(-4, 0)]] = np.nan
    y = y if stranded else y.sum(axis=1, keepdims=True)
    told = {"outputs": ["chip.plus", "chip.minus"], "opposite": [1, 0]} if stranded else {"outputs": ["chip"]}
    facts = sequence_facts(task="profile", window=window, context=4, scale="log1p", **told)
    return Raw(raw.examples, raw.x, y.__getitem__, facts)


def discs(size: tuple[int, int], rng: np.random.Generator, number: int = 3, radius: int = 4) -> np.ndarray:
    """Return labels of discs, later ones on top."""
    labels = np.zeros(size, np.int32)
    rows, columns = np.ogrid[: size[0], : size[1]]
    for label in range(1, number + 1):
        row, column = rng.integers(0, size[0]), rng.integers(0, size[1])
        labels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = label
    return labels


def images(
    n: int = 12, *, size: tuple[int, int] = (32, 32), task: str = "mask", seed: int = 0, channels: int = 1
) -> Raw:
    """Return bright discs on a dark background, noisy uint16; for classes, odd discs are brighter than even ones."""
    rng = np.random.default_rng(seed)
    labels = [discs(size, rng) for _ in range(n)]
    typed = task == "typed_instances"
    classes = [np.where(found > 0, 1 + found % 2, 0).astype(np.uint8) for found in labels]
    brightness = [found.astype(float) for found in (classes if task == "classes" or typed else [f > 0 for f in labels])]
    x = [np.clip(100 + DISC * b + rng.normal(0, 30, (channels, *size)), 0, None).astype(np.uint16) for b in brightness]
    masks = {"mask": [(found > 0).astype(np.uint8) for found in labels], "classes": classes}
    y = masks.get(task, labels)
    outputs = {
        "mask": ["disc"], "classes": ["background", "even", "odd"],
        "instances": ["background", "inside", "boundary", "distance"],
        "typed_instances": ["background", "inside", "boundary", "distance", "even", "odd"],
    }[task]  # fmt: skip
    ids = [np.unique(found[found > 0]) for found in labels]
    kinds = [np.column_stack([found, found % 2]).astype(np.int32) for found in ids] if typed else None
    names = [f"c{i}" for i in range(channels)]
    facts = image_facts(task=task, outputs=outputs, channels=names, spacing=None, dtype="uint16")
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)]})
    return Raw(examples, x.__getitem__, y.__getitem__, facts, classes=kinds.__getitem__ if kinds else None)


def labelled(
    n: int = 24,
    *,
    sizes: Sequence[tuple[int, ...]] = ((16, 16),),
    classes: Sequence[str] = ("dark", "even", "bright"),
    channels: int = 1,
    task: str = "multiclass",
    seed: int = 0,
) -> Raw:
    """Return noisy images whose centre is as bright as their class; their sizes cycle."""
    rng = np.random.default_rng(seed)
    kinds, x = np.arange(n) % len(classes), []
    for row, kind in enumerate(kinds):
        size = sizes[row % len(sizes)]
        image = rng.normal(1000, 50, (channels, *size))
        image[:, *(slice(side // 4, side - side // 4) for side in size)] += 400.0 * kind
        x.append(image.astype(np.uint16))
    facts = image_facts(
        task=task, outputs=list(classes), spatial_dims=len(sizes[0]), channels=[f"c{i}" for i in range(channels)]
    )
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)]})
    return Raw(examples, x.__getitem__, np.eye(len(classes), dtype=np.float32)[kinds], facts)


def bagged(n: int = 24, *, sizes: Sequence[int] = (3, 5, 4), size: tuple[int, ...] = (16, 16), seed: int = 0) -> Raw:
    """Return bags of dark noisy images; every other bag has one with a bright centre, and this label."""
    rng, x = np.random.default_rng(seed), []
    for row in range(n):
        bag = rng.normal(1000, 50, (sizes[row % len(sizes)], 1, *size))
        if row % 2:
            bag[rng.integers(len(bag)), 0, *(slice(side // 4, side - side // 4) for side in size)] += 600
        x.append(bag.astype(np.uint16))
    facts = image_facts(task="binary", outputs=["bright"], spatial_dims=len(size)).model_copy(update={"kind": "bag"})
    examples = pd.DataFrame({"id": [f"b{i}" for i in range(n)], "group": [f"g{i}" for i in range(n)]})
    return Raw(examples, x.__getitem__, np.arange(n, dtype=np.float32)[:, None] % 2, facts)


def valued(n: int = 48, *, size: tuple[int, ...] = (16, 16), seed: int = 0) -> Raw:
    """Return noisy images whose centre is as bright as their first value; the second is unknown for every fifth."""
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(1, 9, (n, 2)).astype(np.float32), []
    y[::5, 1] = np.nan
    for value in y[:, 0]:
        image = rng.normal(1000, 50, (1, *size))
        image[:, *(slice(side // 4, side - side // 4) for side in size)] += 100.0 * value
        x.append(image.astype(np.uint16))
    facts = image_facts(task="regression", outputs=["bright", "other"], spatial_dims=len(size))
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)]})
    return Raw(examples, x.__getitem__, y, facts)


def accompanied(raw: Raw) -> Raw:
    """Return examples with two covariates: a dose, unknown for every seventh, and one of three cell lines."""
    rng, n = np.random.default_rng(7), len(raw.examples)
    dose = np.where(np.arange(n) % 7 == 3, np.nan, rng.uniform(10, 50, n))
    cells = np.array(["hela", "k562", "u2os"], object)[rng.integers(0, 3, n)]
    facts = raw.facts.model_copy(update={"covariates": ["dose", "cells"]})
    return replace(raw, examples=raw.examples.assign(covariate_dose=dose, covariate_cells=cells), facts=facts)


def several(n: int = 60, *, seed: int = 0, missing: bool = True) -> Raw:
    """Return noisy images whose centre shows a class, yes or no, a grade and a number; some of these are unknown."""
    rng, x, y = np.random.default_rng(seed), [], []
    for row in range(n):
        kind, yes, grade, size = row % 3, row // 3 % 2, row // 2 % 3, rng.uniform(1, 9)
        image = rng.normal(1000, 50, (1, 16, 16))
        image[:, 2:6, 2:6] += 300.0 * kind
        image[:, 2:6, 10:14] += 400.0 * yes
        image[:, 10:14, 2:6] += 300.0 * grade
        image[:, 10:14, 10:14] += 100 * size
        x.append(image.astype(np.uint16))
        y.append([*np.eye(3)[kind], yes, *np.eye(3)[grade], size])
    y = np.array(y, np.float32)
    parts = [
        Part(name="kind", task="multiclass", outputs=["a", "b", "c"]),
        Part(name="lit", task="binary", outputs=["lit"]),
        Part(name="stage", task="ordinal", outputs=["low", "mid", "high"]),
        Part(name="size", task="regression", outputs=["size"]),
    ]
    if missing:
        for start, stop, step in ((0, 3, 7), (3, 4, 5), (4, 7, 6), (7, 8, 4)):
            y[::step, start:stop] = np.nan
        y[0, 4:7] = 1, 0, 0  # no image without any label
    outputs = [
        *(f"kind_{name}" for name in "abc"),
        "lit",
        *(f"stage_{name}" for name in ("low", "mid", "high")),
        "size",
    ]
    facts = image_facts(task="several", outputs=outputs, parts=parts)
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)]})
    return Raw(examples, x.__getitem__, y, facts)


def boxed(n: int = 16, *, size: tuple[int, int] = (48, 48), seed: int = 0) -> Raw:
    """Return images of discs with a box around each; discs of the second class are brighter. The last has none."""
    rng = np.random.default_rng(seed)
    x, y = [], []
    for number in range(n):
        labels = discs(size, rng, number=3 if number < n - 1 else 0, radius=6)
        x.append((100 + 400 * ((labels > 0) + labels % 2) + rng.normal(0, 30, (1, *size))).astype(np.uint16))
        found = [(label % 2, *(labels == label).nonzero()) for label in np.unique(labels[labels > 0])]
        y.append(np.array([[k, r.min(), c.min(), r.max() + 1, c.max() + 1] for k, r, c in found], np.float32))
    facts = image_facts(task="boxes", outputs=["dim", "bright"])
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i}" for i in range(n)]})
    return Raw(examples, x.__getitem__, lambda row: y[row].reshape(-1, 5), facts)


def pairs(
    n: int = 12,
    *,
    size: tuple[int, ...] = (32, 32),
    channels: int = 1,
    seed: int = 0,
    dtype: str = "uint16",
    upscale: int = 1,
    **told: Any,
) -> Raw:
    """Return noisy images of bright discs with the same discs without noise, half as bright, and maybe finer."""
    rng = np.random.default_rng(seed)
    clean = [100 + DISC * (discs(size[-2:], rng) > 0) * np.ones((channels, *size)) for _ in range(n)]
    every = (slice(None), *[slice(None, None, upscale)] * len(size))
    x = [np.clip(image + rng.normal(0, 150, image.shape), 0, 65535).astype(np.uint16)[every] for image in clean]
    y = [(image / 2).astype(np.float32) for image in clean]
    names = [f"c{i}" for i in range(channels)]
    facts = image_facts(
        task="image_to_image",
        outputs=names,
        channels=names,
        spatial_dims=len(size),
        dtype="uint16",
        target_dtype=dtype,
        upscale=upscale,
        **told,
    )
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)]})
    return Raw(examples, x.__getitem__, y.__getitem__, facts)


def counted(n: int = 16, *, size: tuple[int, int] = (48, 48), outputs: tuple[str, ...] = ("disc",)) -> Raw:
    """Return noisy images with 1 to 9 discs of each class in a channel of its own, and the middles of these."""
    rng, dots, x = np.random.default_rng(0), [], []
    for i in range(n):
        points = np.zeros((len(outputs), *size), np.float32)
        for k, channel in enumerate(points):
            rows, columns = np.unravel_index(rng.choice(channel.size, 1 + (i + 3 * k) % 9, replace=False), size)
            channel[rows, columns] = 1
        bright = [distance_transform_edt(channel == 0) <= 3 for channel in points]
        x.append(np.clip(80 * np.stack(bright) + rng.normal(40, 8, points.shape), 0, 255).astype(np.uint8))
        dots.append(points)
    names = [f"c{k}" for k in range(len(outputs))]
    facts = image_facts(task="density", outputs=list(outputs), channels=names, dtype="uint8")
    examples = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)]})
    return Raw(examples, x.__getitem__, dots.__getitem__, facts)


def predicted(model: Any, dataset: Dataset, folder: Path) -> Path:
    """Write the outputs of the step predict into a folder."""
    rows = dataset.rows("val", "test")
    Ragged.write(folder / "probability.npy", model.predict_stored(dataset, rows), np.float32)
    dataset.examples.iloc[rows][["id", "split"]].to_csv(folder / "examples.tsv", sep="\t", index=False)
    return folder


def stored(raw: Raw, folder: Path, **split: Any) -> Dataset:
    """Write a data set and open it."""
    write(raw, Split(**{"val": 0.25, "test": 0.25, **split}), 1, folder / "dataset")
    return Dataset(folder / "dataset")
