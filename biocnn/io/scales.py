"""Convert image values to the scale of training, e.g. between 8 bits, 16 bits and fractions."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from biocnn.core.errors import InputError

# Factor from 8 to 16 bits, and divisors from 8- to 16-bit integers to the range 0-1.
_FULL, _FRACTIONS = 257, (255, 65535, 4095, 1023)
_SIMILAR = 4.0  # ratio of an image's range to that of training up to which both may be on the same scale
_ODD = 16.0  # ratio above which this is doubtful even for the same data type
_WHOLE = 0.13  # tolerance for whole numbers stored as floats, e.g. 16-bit floats


class Intensity(BaseModel):
    """Values of a set of images, per channel: 1st and 99.8th percentile, mean and standard deviation.

    All values are multiples of ``step``; it is 0 if there is none, None if it was not measured.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)
    low: list[Annotated[float, Field(gt=-1e30, lt=1e30)]]  # fits float32
    high: list[Annotated[float, Field(gt=-1e30, lt=1e30)]]
    mean: list[float] = []
    std: list[float] = []
    step: Annotated[float, Field(ge=0, lt=1e30)] | None = None


@dataclass(frozen=True)
class Values:
    """Values of an image: data type, extremes, 1st and 99.8th percentile per channel, and step.

    All values are multiples of ``step``; it is 0 if there is none (floats) or all values are 0.
    """

    dtype: str
    least: float
    most: float
    low: np.ndarray
    high: np.ndarray
    step: float


def step_of(values: np.ndarray) -> float:
    """Return the largest number of which all values are multiples, if they are integers or e.g. integers / 255."""
    if values.dtype.kind in "iu":
        return float(np.gcd.reduce(values.astype(np.int64), initial=0))
    top = float(np.abs(values).max(initial=0))
    if top > 1:
        return step_of(values.astype(np.int64)) if top < 2**53 and (values == np.round(values)).all() else 0.0
    for parts in _FRACTIONS:
        counted = values.astype(np.float64) * parts
        if (np.abs(counted - np.round(counted)) <= _WHOLE).all():
            return step_of(np.round(counted).astype(np.int64)) / parts
    return 0.0


def common_step(steps: Iterable[float]) -> float:
    """Return the common step of several channels."""
    steps = [step for step in steps if step]
    if not steps:
        return 0.0
    parts = next((p for p in (1, *_FRACTIONS) if all(_is_whole(step * p) for step in steps)), None)
    return math.gcd(*(round(step * parts) for step in steps)) / parts if parts else 0.0


def scale_factor(values: Values, dtype: str, intensity: Intensity, where: str) -> tuple[float, str]:
    """Return the factor that brings an image to the scale of training, and a note on it.

    Values of another data type are kept if they fit into that of training and span a similar range. They are converted
    if all are multiples of a number that identifies a conversion (e.g. 257, 16 or 1/255) and the result fits. Values of
    the same type are converted in the same way, but only if their range differs strongly from that of training.

    Parameters
    ----------
    values
        Values of the image.
    dtype, intensity
        Of the training images.
    where
        File, for messages.

    Raises
    ------
    InputError
        If the data type differs and the conversion to the scale of training is unknown.
    """
    trained = np.dtype(dtype)
    same, fits = trained.name == values.dtype, _fits(values, trained, 1.0)
    span = np.maximum(np.subtract(intensity.high, intensity.low), 1e-12)
    ratio = float(np.median((values.high - values.low) / span))

    def similar(factor: float) -> bool:
        return 1 / _SIMILAR <= ratio * factor <= _SIMILAR

    if same and similar(1):
        return 1.0, ""
    bytes_ = trained == np.uint8 and values.most > 1 and _is_multiple(values.step, 1.0)  # 8 bits in a wider type
    if fits and not same and (similar(1) or bytes_ or values.least == values.most == 0):
        return 1.0, f"{values.dtype} with values like those of training ({trained.name}), used unchanged"
    step = float(trained.kind in "iu") if intensity.step is None else intensity.step
    factors = _certain(values, trained, step, same, similar)
    if len(factors) == 1:
        (factor,) = factors
        change = f"multiplied by {factor:g}" if factor >= 1 else f"divided by {1 / factor:g}"
        return factor, f"{values.dtype} {change}, as in training ({trained.name})"
    if same:
        odd = ratio > 0 and not 1 / _ODD <= ratio <= _ODD
        return 1.0, f"intensity range differs from training: {ratio:.2g} times as wide" if odd else ""
    raise InputError(
        f"{where}: {values.dtype} from {values.least:g} to {values.most:g}, but the model was trained on "
        f"{trained.name}, mostly from {min(intensity.low):g} to {max(intensity.high):g}, and the conversion between "
        "them is unknown",
        "convert it like the training images; or, at your own judgement, apply.intensity: image (--intensity=image) "
        "scales each image by its own range, as_is uses the values unchanged",
    )


def _certain(
    values: Values, trained: np.dtype, step: float, same: bool, similar: Callable[[float], bool]
) -> list[float]:
    """Return the possible factors between image and training; a single one is certain."""
    found = [f for f in _factors(values, trained, step) if _fits(values, trained, f)]
    found = [f for f in found if _is_multiple(values.step * f, step)]
    if not same and 1 / _FULL in found:
        return [1 / _FULL]  # no other conversion makes all values multiples of 257
    exact = [f for f in found if math.isclose(values.step * f, step, rel_tol=1e-6) and (similar(f) or not same)]
    return exact or [f for f in found if similar(f)]


def _factors(values: Values, trained: np.dtype, step: float) -> list[float]:
    """Return possible factors between two encodings of an image; factors above 1 must divide ``step``."""
    if not values.step:
        return []
    powers = [float(_FULL), *(2.0**k for k in range(1, 9))]
    found = [1 / p for p in powers] + [p for p in powers if _is_multiple(step, p)]
    if "f" in (trained.kind, np.dtype(values.dtype).kind):
        found += [*map(float, _FRACTIONS), *(1 / n for n in _FRACTIONS)]
    return found


def _fits(values: Values, trained: np.dtype, factor: float) -> bool:
    if trained.kind == "f":
        return True
    limits = np.iinfo(trained)
    return limits.min <= values.least * factor and values.most * factor <= limits.max + 0.5


def _is_multiple(step: float, unit: float) -> bool:
    return unit > 0 and step / unit > 0.5 and math.isclose(step / unit, round(step / unit), rel_tol=1e-5)


def _is_whole(number: float) -> bool:
    return math.isclose(number, round(number), rel_tol=1e-9, abs_tol=1e-9)
