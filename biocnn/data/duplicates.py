"""Detection of near-duplicate images: brighter, scaled, compressed with loss, mirrored or rotated copies."""

import numpy as np

from biocnn.nn.views import turn, views

# Side of the thumbnail of an image, in pixels.
SIDES = {2: 32, 3: 12}
# Correlation from which images count as near-duplicates. Among up to 150 training images of each of six sets (nuclei of
# DSB2018, DRIVE, ISBI-2012, white blood cells, chest X-rays, hippocampus volumes) no two different images exceeded .91.
# Copies that were brighter, noisy, blurred, half the size, JPEG of quality 50, mirrored or rotated had .97 or more.
# Missed are X-rays of 28 pixels with 5% noise (.89), blurred (.71) or halved; copies with a gamma of .7 or 1.5 in
# DRIVE, whose images are very similar (.79), but in no other set; and crops.
ALIKE = 0.95
_COARSE = {2: 8, 3: 4}  # side of thumbnails that exclude most pairs at little cost
_ROUNDING = 1e-4  # largest error of a correlation
_ENOUGH = 8  # images from which the mean is not dominated by one of them
_AT_ONCE = 512  # images compared with all others at a time


def small_version(image: np.ndarray) -> np.ndarray:
    """Return a thumbnail of an image: means over equal boxes, standardised to mean 0 and length 1.

    Parameters
    ----------
    image
        Shape (C, *spatial), 2D or 3D, any size; channels are averaged.

    Returns
    -------
    small
        Shape (n, ...), float32, with n of ``SIDES`` along each axis; zeros for a constant image.
    """
    small = image.mean(axis=0, dtype=np.float32)
    for axis in range(small.ndim):
        small = np.moveaxis(np.tensordot(_boxes(small.shape[axis], SIDES[small.ndim]), small, (1, axis)), 0, axis)
    return _standard(small[None])[0]


def _boxes(length: int, parts: int) -> np.ndarray:
    """Return weights (parts, length) that average each of ``parts`` equal pieces of an axis; edges split pixels."""
    edges = np.linspace(0, length, parts + 1)
    pixels = np.arange(length)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(shared, 0, None) * (parts / length)).astype(np.float32)


def _standard(small: np.ndarray) -> np.ndarray:
    """Standardise N thumbnails to mean 0 and length 1, whatever the brightness and contrast; zeros if constant."""
    axes = tuple(range(1, small.ndim))
    rounding = 1e-5 * np.sqrt(np.square(small).sum(axis=axes, keepdims=True))
    small = small - small.mean(axis=axes, keepdims=True)
    length = np.sqrt(np.square(small).sum(axis=axes, keepdims=True))
    return np.where(length > rounding, small / np.where(length > rounding, length, 1), 0).astype(np.float32)


def comparable(small: np.ndarray) -> np.ndarray:
    """Return standardised thumbnails in all views, with the component that all images share removed.

    Parameters
    ----------
    small
        Thumbnails, (N, n, ...).

    Returns
    -------
    views
        Shape (V, N, P), the original view first; products of two rows are correlations.
    """
    return _views(_standard(_without_common(small)))


def _views(small: np.ndarray) -> np.ndarray:
    """Return thumbnails (N, n, ...) in all views, flat: (V, N, P)."""
    turned = _turned(small)
    return turned.reshape(*turned.shape[:2], -1)


def _turned(small: np.ndarray) -> np.ndarray:
    """Return thumbnails (N, n, ...) in all flips and quarter turns of the last two axes: (8 or 16, N, n, ...)."""
    return np.stack([turn(small, view) for view in views(small.ndim - 1)])


def _without_common(small: np.ndarray) -> np.ndarray:
    """Project out the mean image in all views; with few images, subtract its average over the views.

    The views of the mean span a space that is closed under all views, so copies stay copies when rotated.
    """
    mean = _turned(small.mean(axis=0, keepdims=True))[:, 0]
    if len(small) < _ENOUGH:
        return small - mean.mean(axis=0)
    flat, common = small.reshape(len(small), -1), mean.reshape(len(mean), -1)
    _, sizes, directions = np.linalg.svd(common, full_matrices=False)
    directions = directions[sizes > 1e-3 * max(sizes[0], 1e-12)]
    return (flat - (flat @ directions.T) @ directions).reshape(small.shape)


def alike(small: np.ndarray) -> list[tuple[int, int, float]]:
    """Find pairs of near-duplicate images, mirrored or rotated ones included.

    What all images of the set share (e.g. a round field of view) is removed first: their mean in all views.

    Parameters
    ----------
    small
        Thumbnails, (N, n, ...).

    Returns
    -------
    pairs
        Indices i < j of two images, and their largest correlation, if at least ``ALIKE``.
    """
    known = np.flatnonzero(small.reshape(len(small), -1).any(axis=1))
    if len(known) < 2:
        return []
    rest = _standard(_without_common(small[known]))
    turned = _views(_coarse(rest))
    half = np.square(turned[0]).sum(axis=1) / 2
    pairs: list[tuple[int, int, float]] = []
    for start in range(0, len(known), _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        # A projection makes no distance longer: |a - b|^2 = 2 - 2 correlation bounds that of the coarse versions.
        least = half[here, None] + half[None, start:] - (1 - ALIKE) - _ROUNDING
        others = start + np.flatnonzero((_largest(turned[0, here], turned[:, start:]) >= least).any(axis=0))
        best = _largest(rest[here].reshape(-1, rest[0].size), _views(rest[others]))
        for i, j in zip(*np.nonzero((best >= ALIKE) & (others > np.arange(len(best))[:, None] + start)), strict=True):
            pairs.append((int(known[start + i]), int(known[others[j]]), float(best[i, j])))
    return pairs


def _largest(rows: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Return the largest product over the views (V, M, P) of each of the rows (N, P) and images: (N, M)."""
    best = rows @ views[0].T
    for view in views[1:]:
        np.maximum(best, rows @ view.T, out=best)
    return best


def _coarse(small: np.ndarray) -> np.ndarray:
    """Project thumbnails (N, n, ...) onto means over blocks, in an orthonormal basis of these: (N, m, ...)."""
    dims = small.ndim - 1
    side = _COARSE[dims]
    block = small.shape[-1] // side
    split = small.reshape(len(small), *(side, block) * dims)
    return split.sum(axis=tuple(range(2, 2 * dims + 1, 2))) / np.float32(block ** (dims / 2))
