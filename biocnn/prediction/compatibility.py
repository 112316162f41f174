"""Checks that models and data fit together, shared by all steps and calls that apply a model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from biocnn.config.agreement import unsuited
from biocnn.config.settings import Fit, Predict
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.io.lazy import LazyImage
from biocnn.io.resampling import resample, sizes
from biocnn.io.scales import Values, scale_factor
from biocnn.io.stored_image import MILLIMETRES, Slices
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import Facts

CLOSE = 0.05  # relative difference up to which pixel sizes count as equal
FARTHEST = 16.0  # largest ratio of pixel sizes that is resampled; beyond, the file header is probably wrong
SHAPES = {2: "planes (height x width)", 3: "volumes (depth x height x width)"}
# Facts that averaged models, or a model and a stored data set, must share.
ALIKE = (
    "kind", "task", "outputs", "spatial_dims", "window", "context", "alphabet", "channels", "normalise", "form",
    "covariates", "signal", "signal_scale", "upscale",
)  # fmt: skip


class Loaded(Protocol):
    """A loaded model file."""

    path: Path
    facts: Facts


class Pixels(Protocol):
    """An image that need not be in memory: shape (C, *spatial), read window by window."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, window: Slices) -> np.ndarray:
        """Return pixels of shape (C, *window)."""


class Source(Pixels, Protocol):
    """An image whose pixel values are summarised."""

    @property
    def values(self) -> Values:
        """Summary of the pixel values."""


@dataclass(frozen=True)
class Note:
    """A repair of an image, or a doubt about it, with the reason and its numbers."""

    outcome: Literal["repaired", "note"]
    reason: str
    detail: str = ""


class Adapted:
    """An image as the network expects it, with the intensities and pixel size of training.

    Parameters
    ----------
    image
        Image with the channels of training.
    factor
        Factor that pixel values are multiplied by.
    size
        Size at the pixel size of training, (*spatial).
    dtype
        Type of the pixels returned; integers are rounded, and clipped to the range of the type.
    own_range
        Whether the image is scaled by its own intensity range, whatever was done in training.
    notes
        Repairs and doubts.
    """

    def __init__(
        self, image: Source, factor: float, size: tuple[int, ...], dtype: np.dtype, own_range: bool, notes: list[Note]
    ) -> None:
        self.source, self.shape, self.dtype = image, (image.shape[0], *size), dtype
        self.factor, self.own_range, self.notes = factor, own_range, notes

    @property
    def zoom(self) -> tuple[float, ...]:
        """Number of image pixels per training pixel, along each axis."""
        return tuple(n / m for n, m in zip(self.source.shape[1:], self.shape[1:], strict=True))

    def read(self, window: Slices) -> np.ndarray:
        """Return pixels of shape (C, *window)."""
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
    """Wrap an image that already has the intensities and pixel size of training."""
    return Adapted(image, 1.0, tuple(image.shape[1:]), np.dtype(image.dtype), False, [])


def need(model: Loaded, kind: str) -> None:
    """Refuse a model for the other kind of input.

    Raises
    ------
    InputError
        If the model takes another kind of input.
    """
    if model.facts.kind != kind:
        has = f"a model for {model.facts.kind}s ({model.facts.task}: {', '.join(model.facts.outputs)})"
        raise InputError(f"{model.path} is {has}", f"give a model for {kind}s")


def check_options(task: Task, predicting: Predict, fit: Fit) -> None:
    """Refuse options for another kind of input or target, which would have no effect.

    Raises
    ------
    InputError
        If such an option differs from its default.
    """
    for key, wanted, own in unsuited(task.facts.kind, task.target.kind):
        section, name = key.split(".", 1)
        given = {"predict": predicting, "apply": fit}.get(section)
        field = type(given).model_fields.get(name) if given else None
        if field and getattr(given, name) != field.default:
            raise InputError(f"{name}: is for {wanted}, but the model is for {own}", "leave it out")


def agree(models: Sequence[Loaded], kind: str) -> None:
    """Refuse models whose predictions cannot be averaged, or that take another kind of input.

    Raises
    ------
    InputError
        If there is no model, or two models differ.
    """
    if not models:
        raise InputError("no model given", "give one or more files model.safetensors")
    first = models[0]
    for model in models:
        need(model, kind)
        for key, one, other in _differ(first.facts, model.facts, ALIKE):
            raise InputError(
                f"the models differ in {key}: {one} in {first.path}, {other} in {model.path}",
                "average models of one experiment only; use other models separately",
            )


def refuse_covariates(model: Loaded) -> None:
    """Refuse a model with covariates for windows of a genome, which have none.

    Raises
    ------
    InputError
        If the model was trained with covariates.
    """
    if names := ", ".join(model.facts.covariates):
        raise InputError(
            f"{model.path}: the model also needs {names}, which places in a genome do not have",
            "train a model without data.covariates for scans and variants",
        )


def same_data(model: Loaded, dataset: Dataset) -> None:
    """Refuse a stored data set that differs from the one that the model was trained on.

    Raises
    ------
    InputError
        If model and data set differ.
    """
    for key, trained, found in _differ(model.facts, dataset.facts, (*ALIKE, "dtype", "coded", "signal_tracks")):
        raise InputError(
            f"{dataset.folder}: {key} is {found}, but {model.path} was trained with {trained}",
            "give the data set of the same experiment, or one stored with the same settings",
        )


def _differ(one: Facts, other: Facts, keys: Iterable[str]) -> Iterator[tuple[str, Any, Any]]:
    """Return the fields that are given in both and differ."""
    beside = ("covariates", "signal")  # left out if empty
    one, other = (facts.given() | {key: getattr(facts, key) for key in beside} for facts in (one, other))
    return ((key, one[key], other[key]) for key in keys if key in one and key in other and one[key] != other[key])


def choose(image: LazyImage, facts: Facts, fit: Fit, path: str | Path) -> None:
    """Select the channels of training in an open image.

    Raises
    ------
    InputError
        If the image is a volume where the model takes planes, or the other way round, or has other channels.
    """
    dims, found = facts.spatial_dims, len(image.shape) - 1
    if found != dims:
        size = " x ".join(map(str, image.shape[1:]))
        remedy = {
            2: "give planes: save each z plane as a separate file; if the first axis holds channels, train with "
            "data.axes: CYX",
            3: "give volumes: one file with all slices",
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
    """Bring an image to the intensities and pixel size of training where the conversion is certain.

    Parameters
    ----------
    image
        Image with the channels of training.
    facts
        Facts of the data set that the model was trained on.
    fit
        Settings of the conversion.
    where
        File, for messages.
    spacing, unit
        Pixel size along each axis, if known.

    Raises
    ------
    InputError
        If the image has another shape, or its intensities cannot be converted with certainty.
    """
    dims, channels = facts.spatial_dims, facts.in_channels
    if len(image.shape) != dims + 1 or image.shape[0] != channels:
        raise InputError(
            f"{where}: shape {tuple(image.shape)}, but the model was trained on {SHAPES[dims]}, channels: {channels}",
            f"give an array of shape (C, *spatial) with C = {channels} ({', '.join(facts.channels)}); of several "
            "images, a list, for example list(images)",
        )
    if 0 in image.shape:
        raise InputError(f"{where}: shape {tuple(image.shape)}: no pixels", "remove the image")
    notes: list[Note] = []
    if image.values.least == image.values.most:
        notes.append(Note("note", "constant image: all pixels are equal"))
    scaled = fit.intensity == "as_trained" and facts.normalise != "image" and facts.dtype
    factor = _factor(image, facts, where, notes) if scaled else 1.0
    zoom = _zoom(facts, fit, where, spacing, unit, notes)
    size = tuple(image.shape[1:]) if zoom is None else sizes(image.shape[1:], zoom)
    dtype = np.dtype(facts.dtype) if scaled else np.dtype(image.dtype)
    return Adapted(image, factor, size, dtype, fit.intensity == "image", notes)


def _factor(image: Source, facts: Facts, where: str, notes: list[Note]) -> float:
    factor, message = scale_factor(image.values, facts.dtype, facts.intensity, where)
    if message:
        notes.append(Note("note" if factor == 1 else "repaired", *message.split(": ", 1)))
    return factor


def _zoom(
    facts: Facts, fit: Fit, where: str, spacing: Sequence[float] | None, unit: str, notes: list[Note]
) -> np.ndarray | None:
    """Return the number of training pixels per image pixel, along each axis; None if their sizes are equal."""
    trained = facts.spacing_range or (facts.spacing and [facts.spacing] * 2)
    if not trained or fit.spacing == "as_is":
        return None
    if spacing is None:
        notes.append(Note("note", "no pixel size in the file; that of training is assumed"))
        return None
    low, high = np.array(trained) * MILLIMETRES[facts.unit] / MILLIMETRES[unit]
    wanted = np.clip(spacing, low, high)
    zoom = np.asarray(spacing) / wanted
    if (np.abs(zoom - 1) <= CLOSE).all():
        return None
    here, there = (" x ".join(f"{s:.4g}" for s in one) + f" {unit}" for one in (spacing, wanted))
    if zoom.max() > FARTHEST or zoom.min() < 1 / FARTHEST:
        raise InputError(
            f"{where}: pixel size {here}, but the model was trained on {there}",
            "check the pixel size in the file; apply.spacing: as_is (--spacing=as_is) predicts without resampling",
        )
    if make_task(facts).like_input or facts.upscale > 1:
        notes.append(Note("note", "another pixel size than in training; not resampled", f"{here}, trained on {there}"))
        return None
    notes.append(Note("repaired", "resampled to the pixel size of training", f"{here} to {there}"))
    return zoom
