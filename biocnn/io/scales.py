"""Whether the numbers of an image mean what they meant in training: one picture in 8 bits, in 16, or as fractions."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from biocnn.core.errors import InputError

# What 8-bit pictures are multiplied by to fill 16 bits, and pictures of 8 to 16 bits are divided by to fill 0-1.
_FULL, _FRACTIONS = 257, (255, 65535, 4095, 1023)
_ALIKE = 4.0  # times as wide: the range of an image beside that of training, up to which numbers may mean the same
_ODD = 16.0  # beyond which even of one data type that is doubtful
_WHOLE = 0.13  # how far the float of a whole number may be off, as 16-bit floats are


@dataclass(frozen=True)
class Values:
    """The numbers of an image: their type, extremes, 1st and 99.8th percentile of each channel, and step.

    ``step`` is the number that all of them are multiples of; 0 where there is none (floats), or all are 0.
    """

    dtype: str
    least: float
    most: float
    low: np.ndarray
    high: np.ndarray
    step: float


def step_of(values: np.ndarray) -> float:
    """The largest number that all values are multiples of: of whole numbers, and of these over 255 or 65535, say."""
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
    """The step of several channels together."""
    steps = [step for step in steps if step]
    if not steps:
        return 0.0
    parts = next((p for p in (1, *_FRACTIONS) if all(_is_whole(step * p) for step in steps)), None)
    return math.gcd(*(round(step * parts) for step in steps)) / parts if parts else 0.0


def scale_factor(values: Values, facts: dict[str, Any], where: str) -> tuple[float, str]:
    """What an image is multiplied by so that its numbers mean what they meant in training, and a word on it.

    Numbers of another data type are taken as they are where they fit into that of training and span about as much. They
    are converted where all of them are multiples of what tells a conversion (257, 16 or 1/255, say) and the result
    fits. Numbers of the same type are converted likewise, but only where they span quite another range as they are.

    Parameters
    ----------
    values
        Of the image.
    facts
        Of the data set that the model was trained on; ``dtype`` and ``intensity`` are used.
    where
        File, for messages.

    Raises
    ------
    InputError
        Where the type is another one, and nothing tells how its numbers become those of training.
    """
    trained, range_ = np.dtype(facts["dtype"]), facts["intensity"]
    same, fits = trained.name == values.dtype, _fits(values, trained, 1.0)
    span = np.maximum(np.subtract(range_["high"], range_["low"]), 1e-12)
    ratio = float(np.median((values.high - values.low) / span))

    def alike(factor: float) -> bool:
        return 1 / _ALIKE <= ratio * factor <= _ALIKE

    if same and alike(1):
        return 1.0, ""
    bytes_ = trained == np.uint8 and values.most > 1 and _is_multiple(values.step, 1.0)  # 8 bits, stored wider
    if fits and not same and (alike(1) or bytes_ or values.least == values.most == 0):
        return 1.0, f"{values.dtype} with numbers like those of training ({trained.name}), taken as they are"
    factors = _certain(values, trained, range_.get("step", 1.0 if trained.kind in "iu" else 0.0), same, alike)
    if len(factors) == 1:
        (factor,) = factors
        said = f"times {factor:g}" if factor >= 1 else f"divided by {1 / factor:g}"
        return factor, f"{values.dtype} {said}, as in training ({trained.name})"
    if same:
        odd = ratio > 0 and not 1 / _ODD <= ratio <= _ODD
        return 1.0, f"another range of intensities than in training: {ratio:.2g} times as wide" if odd else ""
    raise InputError(
        f"{where}: {values.dtype} from {values.least:g} to {values.most:g}, but the model was trained on "
        f"{trained.name}, mostly from {min(range_['low']):g} to {max(range_['high']):g}, and nothing tells how the one "
        "becomes the other",
        "convert it as the images of training were; or, at your own judgement, segment.intensity: image "
        "(--intensity=image) scales each image by its own range, as_is takes its numbers as they are",
    )


def _certain(values: Values, trained: np.dtype, step: float, same: bool, alike: Callable[[float], bool]) -> list[float]:
    """The factors that can have been between the image and the numbers of training: one of them is certain."""
    found = [f for f in _factors(values, trained, step) if _fits(values, trained, f)]
    found = [f for f in found if _is_multiple(values.step * f, step)]
    if not same and 1 / _FULL in found:
        return [1 / _FULL]  # no other way of storing pictures makes all numbers multiples of 257
    exact = [f for f in found if math.isclose(values.step * f, step, rel_tol=1e-6) and (alike(f) or not same)]
    return exact or [f for f in found if alike(f)]


def _factors(values: Values, trained: np.dtype, step: float) -> list[float]:
    """What may stand between two ways of storing the same picture; of numbers that are all multiples of it, one way."""
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
