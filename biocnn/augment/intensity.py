"""Augmentations that change intensities and move nothing: x float (N, C, *spatial), scaled to about 0..1."""

from collections.abc import Callable

from torch import Tensor

from biocnn.augment.move import STAY, Move
from biocnn.augment.numbers import for_some, normal, spread, uniform
from biocnn.augment.separable import along, blurring, coarsening
from biocnn.core.ranges import Fraction, NonNegative, Positive


def intensity(
    x: Tensor,
    u: Tensor,
    *,
    contrast: Positive = 1.3,
    brightness: NonNegative = 0.1,
    per_channel: bool = False,
    share: Fraction = 1.0,
) -> tuple[Tensor, Move]:
    """Change contrast and brightness.

    Parameters
    ----------
    contrast
        Largest factor, or its inverse.
    brightness
        Largest number that is added or subtracted; intensities go from about 0 to 1.
    per_channel
        Whether each channel has values of its own.
    share
        Share of the examples that are changed.
    """

    def change(u: Tensor, x: Tensor) -> Tensor:
        numbers = uniform(u[:, 1:3], (2, x.shape[1] if per_channel else 1))
        factor, offset = (_each(part, x) for part in numbers.unbind(1))
        return x * spread(factor, contrast) + (2 * offset - 1) * brightness

    return for_some(share, u, change, x), STAY


def gamma(x: Tensor, u: Tensor, *, power: Positive = 1.5, share: Fraction = 1.0) -> tuple[Tensor, Move]:
    """Raise intensities to a power; values below 0 are kept.

    Parameters
    ----------
    power
        Largest power, or its inverse.
    share
        Share of the examples that are changed.
    """

    def change(u: Tensor, x: Tensor) -> Tensor:
        return x.where(x <= 0, x.clamp(min=1e-6) ** _each(spread(u[:, 1:2], power), x))

    return for_some(share, u, change, x), STAY


def noise(x: Tensor, u: Tensor, *, sd: NonNegative = 0.05, share: Fraction = 1.0) -> tuple[Tensor, Move]:
    """Add Gaussian noise.

    Parameters
    ----------
    sd
        Largest standard deviation, drawn from 0 on; intensities go from about 0 to 1.
    share
        Share of the examples that are changed.
    """

    def change(u: Tensor, x: Tensor) -> Tensor:
        return x + normal(u[:, 2:4], x.shape[1:]) * _each(sd * u[:, 1:2], x)

    return for_some(share, u, change, x), STAY


def blur(
    x: Tensor, u: Tensor, *, sigma: Positive = 1.5, in_plane: bool = False, share: Fraction = 1.0
) -> tuple[Tensor, Move]:
    """Blur with a Gaussian.

    Parameters
    ----------
    sigma
        Largest standard deviation in pixels; it is drawn from a third of it on.
    in_plane
        Whether volumes are not blurred across their planes.
    share
        Share of the examples that are changed.
    """

    def width(number: Tensor) -> Tensor:
        return sigma * (1 + 2 * number) / 3

    return _filtered(x, u, share, in_plane, width, blurring), STAY


def low_resolution(
    x: Tensor, u: Tensor, *, factor: Positive = 2.0, in_plane: bool = False, share: Fraction = 1.0
) -> tuple[Tensor, Move]:
    """Average over larger pixels, and interpolate back to the same size.

    Parameters
    ----------
    factor
        Largest length of these pixels, in pixels.
    in_plane
        Whether the distance between planes of a volume is kept.
    share
        Share of the examples that are changed.
    """

    def length(number: Tensor) -> Tensor:
        return max(factor, 1 / factor) ** number

    return _filtered(x, u, share, in_plane, length, coarsening), STAY


def _filtered(
    x: Tensor,
    u: Tensor,
    share: float,
    in_plane: bool,
    size: Callable[[Tensor], Tensor],
    filters: Callable[[Tensor, int], Tensor],
) -> Tensor:
    """Apply one filter per example along its axes."""

    def change(u: Tensor, x: Tensor) -> Tensor:
        return along(x, [filters(size(u[:, 1]), length) for length in x.shape[2:][-2 if in_plane else -3 :]])

    return for_some(share, u, change, x)


def _each(numbers: Tensor, x: Tensor) -> Tensor:
    """Reshape numbers (N, C or 1) to factors of x."""
    return numbers.view(*numbers.shape, *[1] * (x.ndim - 2))
