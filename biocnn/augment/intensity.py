"""Augmentations that change intensities and move nothing: x float (N, C, *spatial), scaled to about 0..1."""

from collections.abc import Callable

from torch import Tensor

from biocnn.augment import require_positive
from biocnn.augment.move import STAY, Move
from biocnn.augment.numbers import for_some, normal, spread, uniform
from biocnn.augment.separable import along, blurring, coarsening


def intensity(
    x: Tensor,
    u: Tensor,
    *,
    contrast: float = 1.3,
    brightness: float = 0.1,
    per_channel: bool = False,
    share: float = 1.0,
) -> tuple[Tensor, Move]:
    """Multiply by up to ``contrast`` or its inverse, and add up to ``brightness`` in either direction.

    ``per_channel`` draws separate values for each channel.
    """
    require_positive("intensity", contrast=contrast)

    def change(u: Tensor, x: Tensor) -> Tensor:
        numbers = uniform(u[:, 1:3], (2, x.shape[1] if per_channel else 1))
        factor, offset = (_each(part, x) for part in numbers.unbind(1))
        return x * spread(factor, contrast) + (2 * offset - 1) * brightness

    return for_some(share, u, change, x), STAY


def gamma(x: Tensor, u: Tensor, *, power: float = 1.5, share: float = 1.0) -> tuple[Tensor, Move]:
    """Raise to a power of up to ``power`` or its inverse; values below 0 are kept."""
    require_positive("gamma", power=power)

    def change(u: Tensor, x: Tensor) -> Tensor:
        return x.where(x <= 0, x.clamp(min=1e-6) ** _each(spread(u[:, 1:2], power), x))

    return for_some(share, u, change, x), STAY


def noise(x: Tensor, u: Tensor, *, sd: float = 0.05, share: float = 1.0) -> tuple[Tensor, Move]:
    """Add Gaussian noise whose standard deviation is drawn from 0 to ``sd``."""

    def change(u: Tensor, x: Tensor) -> Tensor:
        return x + normal(u[:, 2:4], x.shape[1:]) * _each(sd * u[:, 1:2], x)

    return for_some(share, u, change, x), STAY


def blur(
    x: Tensor, u: Tensor, *, sigma: float = 1.5, in_plane: bool = False, share: float = 1.0
) -> tuple[Tensor, Move]:
    """Blur with a Gaussian whose standard deviation is drawn from a third of ``sigma`` to ``sigma``, in pixels.

    ``in_plane`` does not blur volumes across their planes.
    """
    require_positive("blur", sigma=sigma)

    def width(number: Tensor) -> Tensor:
        return sigma * (1 + 2 * number) / 3

    return _filtered(x, u, share, in_plane, width, blurring), STAY


def low_resolution(
    x: Tensor, u: Tensor, *, factor: float = 2.0, in_plane: bool = False, share: float = 1.0
) -> tuple[Tensor, Move]:
    """Average over pixels up to ``factor`` times as long, and interpolate back to the same size.

    ``in_plane`` keeps the distance between planes of a volume.
    """
    require_positive("low_resolution", factor=factor)

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
