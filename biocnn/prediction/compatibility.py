"""Whether models and data belong together: one check for every step and call that applies a model to something."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from biocnn.config.settings import Fit
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.io.lazy import LazyImage
from biocnn.io.scales import Values, scale_factor
from biocnn.io.stored import MILLIMETRES
from biocnn.prediction.resampling import resample, sizes
from biocnn.prediction.tiles import Slices
from biocnn.tasks.facts import Facts

CLOSE = 0.05  # relative difference up to which pixel sizes count as one
FARTHEST = 16.0  # times as large: pixels that are resampled; beyond, a header is wrong rather than a lens so strong
SHAPES = {2: "planes (height x width)", 3: "volumes (depth x height x width)"}
# What models that are averaged, or a model and a stored data set, must share.
ALIKE = ("kind", "task", "outputs", "spatial_dims", "window", "alphabet", "channels", "normalise")


class Loaded(Protocol):
    """A model file, loaded."""

    path: Path
    facts: Facts


class Pixels(Protocol):
    """An image that need not be in memory: shape (C, *spatial), read by windows."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, window: Slices) -> np.ndarray:
        """Pixels of shape (C, *window)."""


class Source(Pixels, Protocol):
    """One whose numbers can be looked at."""

    @property
    def values(self) -> Values:
        """What they are."""


@dataclass(frozen=True)
class Note:
    """What was done to an image, or is doubtful about it: ``repaired`` or ``note``, the reason, and its numbers."""

    outcome: Literal["repaired", "note"]
    reason: str
    detail: str = ""


class Adapted:
    """An image as a network wants it: numbers and pixels as in training.

    Parameters
    ----------
    image
        With the channels of training.
    factor
        What its numbers are multiplied by.
    size
        (*spatial) on the grid of training.
    dtype
        To hand pixels on in; whole numbers are rounded, and cut to what the type holds.
    own_range
        Whether it is scaled by its own range of intensities, whatever was done in training.
    notes
        What was done.
    """

    def __init__(
        self, image: Source, factor: float, size: tuple[int, ...], dtype: np.dtype, own_range: bool, notes: list[Note]
    ) -> None:
        self.source, self.shape, self.dtype = image, (image.shape[0], *size), dtype
        self.factor, self.own_range, self.notes = factor, own_range, notes

    @property
    def zoom(self) -> tuple[float, ...]:
        """Pixels of the image for one of training, along each axis."""
        return tuple(n / m for n, m in zip(self.source.shape[1:], self.shape[1:], strict=True))

    def read(self, window: Slices) -> np.ndarray:
        """Pixels of shape (C, *window)."""
        if self.shape == self.source.shape:
            pixels = self.source.read(window)
        else:
            pixels = resample(self.source.read, self.source.shape[1:], self.shape[1:], window)
        if self.factor == 1 and pixels.dtype == self.dtype:
            return pixels
        pixels = pixels * np.float64(self.factor)
        if self.dtype.kind in "iu":
            limits = np.iinfo(self.dtype)
            pixels = np.clip(np.rint(pixels), limits.min, limits.max)
        return pixels.astype(self.dtype)


def as_it_is(image: Source) -> Adapted:
    """An image that has the numbers and pixels of training."""
    return Adapted(image, 1.0, tuple(image.shape[1:]), np.dtype(image.dtype), False, [])


def need(model: Loaded, kind: Literal["image", "sequence"], what: str) -> None:
    """Refuse a model of the other kind.

    Raises
    ------
    InputError
        Names the model, what it is of, and what is wanted.
    """
    if model.facts.kind != kind:
        has = f"a model of {model.facts.kind}s ({model.facts.task}: {', '.join(model.facts.outputs)})"
        raise InputError(f"{what}: {model.path} is {has}", f"give a model of {kind}s")


def agree(models: Sequence[Loaded], kind: Literal["image", "sequence"], what: str) -> None:
    """Refuse models whose answers cannot be averaged, or that are not of this kind.

    Raises
    ------
    InputError
        Names two models, and in what they differ; where there is no model.
    """
    if not models:
        raise InputError(f"{what}: no model is given", "name one or more model.safetensors")
    first = models[0]
    for model in models:
        need(model, kind, what)
        for key, one, other in _differ(first.facts, model.facts, ALIKE):
            raise InputError(
                f"{what}: the models differ in their {key}: {one} in {first.path}, {other} in {model.path}",
                "average models of one experiment; use each kind of model by itself",
            )


def same_data(model: Loaded, dataset: Dataset) -> None:
    """Refuse a stored data set of another kind than the model was trained on.

    Raises
    ------
    InputError
        Names model and data set, and in what they differ.
    """
    for key, trained, found in _differ(model.facts, dataset.facts, (*ALIKE, "dtype")):
        raise InputError(
            f"{dataset.folder}: {key} is {found}, but {model.path} was trained with {trained}",
            "give the data set of the same experiment, or one that is stored alike",
        )


def _differ(one: Facts, other: Facts, keys: Iterable[str]) -> Iterator[tuple[str, Any, Any]]:
    """Fields that are given in both, and not alike."""
    one, other = one.given(), other.given()
    return ((key, one[key], other[key]) for key in keys if key in one and key in other and one[key] != other[key])


def choose(image: LazyImage, facts: Facts, fit: Fit, path: str | Path) -> None:
    """Have an open image read with the channels of training.

    Raises
    ------
    InputError
        Where it is a volume and planes are needed, or the other way round, or has other channels.
    """
    dims, found = facts.spatial_dims, len(image.shape) - 1
    if found != dims:
        size = " x ".join(map(str, image.shape[1:]))
        remedy = {
            2: "give planes: save each z plane as a file of its own; where the first axis holds channels, train with "
            "data.axes: CYX",
            3: "give volumes: one file of all slices",
        }[dims]
        raise InputError(
            f"{path}: {size} pixels ({SHAPES[found]}), but the model was trained on {SHAPES[dims]}", remedy
        )
    known_as = [facts.channels, *facts.known_as]
    if fit.channels is not None:
        if len(fit.channels) != len(facts.channels):
            raise InputError(
                f"channels: {', '.join(fit.channels)}, but the model was trained on {', '.join(facts.channels)}",
                f"give {len(facts.channels)} names, in this order",
            )
        known_as = [list(fit.channels)]
    image.choose(facts.channels, known_as)


def adapt(
    image: Source, facts: Facts, fit: Fit, where: str, spacing: Sequence[float] | None = None, unit: str = "um"
) -> Adapted:
    """Bring an image to numbers and pixel size of training, where it is certain how; say what was done.

    Parameters
    ----------
    image
        With the channels of training.
    facts
        Of the data set that the model was trained on.
    fit
        How.
    where
        File, for messages.
    spacing, unit
        Size of a pixel along each axis, where it is known.

    Raises
    ------
    InputError
        Where the shape is another one, or nothing tells how its numbers become those of training.
    """
    dims, channels = facts.spatial_dims, facts.in_channels
    if len(image.shape) != dims + 1 or image.shape[0] != channels:
        raise InputError(
            f"{where}: shape {tuple(image.shape)}, but the model was trained on {channels} channels of {SHAPES[dims]}",
            f"give an array of shape (C, *spatial) with C = {channels} ({', '.join(facts.channels)})",
        )
    if 0 in image.shape:
        raise InputError(f"{where}: shape {tuple(image.shape)}: no pixels", "leave it out")
    notes: list[Note] = []
    if image.values.least == image.values.most:
        notes.append(Note("note", "a constant image: all pixels are equal"))
    scaled = fit.intensity == "as_trained" and facts.normalise != "image" and facts.dtype
    factor = _factor(image, facts, where, notes) if scaled else 1.0
    zoom = _zoom(facts, fit, where, spacing, unit, notes)
    size = tuple(image.shape[1:]) if zoom is None else sizes(image.shape[1:], zoom)
    dtype = np.dtype(facts.dtype) if scaled else np.dtype(image.dtype)
    return Adapted(image, factor, size, dtype, fit.intensity == "image", notes)


def _factor(image: Source, facts: Facts, where: str, notes: list[Note]) -> float:
    factor, said = scale_factor(image.values, facts.dtype, facts.intensity, where)
    if said:
        notes.append(Note("note" if factor == 1 else "repaired", *said.split(": ", 1)))
    return factor


def _zoom(
    facts: Facts, fit: Fit, where: str, spacing: Sequence[float] | None, unit: str, notes: list[Note]
) -> np.ndarray | None:
    """Pixels of training for one of the image, along each axis; None where they are as large."""
    trained = facts.spacing_range or (facts.spacing and [facts.spacing] * 2)
    if not trained or fit.spacing == "as_is":
        return None
    if spacing is None:
        notes.append(Note("note", "no pixel size in the file, taken for that of training"))
        return None
    low, high = np.array(trained) * MILLIMETRES[facts.unit] / MILLIMETRES[unit]
    wanted = np.clip(spacing, low, high)
    zoom = np.asarray(spacing) / wanted
    if (np.abs(zoom - 1) <= CLOSE).all():
        return None
    here, there = (" x ".join(f"{s:.4g}" for s in one) + f" {unit}" for one in (spacing, wanted))
    if zoom.max() > FARTHEST or zoom.min() < 1 / FARTHEST:
        raise InputError(
            f"{where}: pixels of {here}, but the model was trained on {there}",
            "is the pixel size in the file right? segment.spacing: as_is (--spacing=as_is) predicts pixels as they are",
        )
    notes.append(Note("repaired", "resampled to the pixel size of training", f"{here} to {there}"))
    return zoom
