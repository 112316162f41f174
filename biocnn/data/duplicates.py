"""Images that look alike, though their pixels differ: brighter, scaled, saved with losses, mirrored or turned."""

import numpy as np

from biocnn.nn.views import turn, views

# Side of the small version that stands for an image.
SIDES = {2: 32, 3: 12}
# Correlation from which images count as alike. Among up to 150 training images of each of six sets (nuclei of DSB2018,
# DRIVE, ISBI-2012, white blood cells, chest X-rays, hippocampus volumes) no two different images had more than .91.
# Copies that were brighter, noisy, blurred, of half the size, JPEG of quality 50, mirrored or turned had .97 or more.
# Missed are X-rays of 28 pixels with noise of 5% (.89), blurred (.71) or halved; copies with a gamma of .7 or 1.5 in
# DRIVE, whose images are much alike (.79), but in no other set; and crops.
ALIKE = 0.95
_ENOUGH = 8  # images whose mean is not just one of them
_AT_ONCE = 512  # images compared with all others


def small_version(image: np.ndarray) -> np.ndarray:
    """What an image looks like from afar: its mean over boxes that divide each axis alike, mean 0, length 1.

    Parameters
    ----------
    image
        Shape (C, *spatial), 2D or 3D, any size; channels are averaged.

    Returns
    -------
    small
        Shape (n, ...), float32, n of ``SIDES`` along each axis; zeros where the image is constant.
    """
    small = image.mean(axis=0, dtype=np.float32)
    for axis in range(small.ndim):
        small = np.moveaxis(np.tensordot(_boxes(small.shape[axis], SIDES[small.ndim]), small, (1, axis)), 0, axis)
    return _standard(small[None])[0]


def _boxes(length: int, parts: int) -> np.ndarray:
    """Weights (parts, length) that average each of ``parts`` equal pieces of an axis; pixels may be shared."""
    edges = np.linspace(0, length, parts + 1)
    pixels = np.arange(length)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(shared, 0, None) * (parts / length)).astype(np.float32)


def _standard(small: np.ndarray) -> np.ndarray:
    """Each of N to mean 0 and length 1, so that brightness and contrast do not matter; zeros where it is constant."""
    axes = tuple(range(1, small.ndim))
    rounding = 1e-5 * np.sqrt(np.square(small).sum(axis=axes, keepdims=True))
    small = small - small.mean(axis=axes, keepdims=True)
    length = np.sqrt(np.square(small).sum(axis=axes, keepdims=True))
    return np.where(length > rounding, small / np.where(length > rounding, length, 1), 0).astype(np.float32)


def comparable(small: np.ndarray) -> np.ndarray:
    """What is compared of images: their small versions in all views, less what all have in common.

    Parameters
    ----------
    small
        Small versions, (N, n, ...).

    Returns
    -------
    views
        Shape (V, N, P), the first view as it is; products of two rows are correlations.
    """
    rest = _standard(_without_common(small))
    return _turned(rest).reshape(-1, len(small), rest[0].size)


def _turned(small: np.ndarray) -> np.ndarray:
    """Small versions (N, n, ...) in all flips and quarter turns (of the last two axes): (8 or 16, N, n, ...)."""
    return np.stack([turn(small, view) for view in views(small.ndim - 1)])


def _without_common(small: np.ndarray) -> np.ndarray:
    """Images without what they share with the mean image, mirrored and turned in all ways; with few, without its mean.

    The views of the mean span a space that no view leads out of, so that copies stay copies when they are turned.
    """
    mean = _turned(small.mean(axis=0, keepdims=True))[:, 0]
    if len(small) < _ENOUGH:
        return small - mean.mean(axis=0)
    flat, common = small.reshape(len(small), -1), mean.reshape(len(mean), -1)
    _, sizes, directions = np.linalg.svd(common, full_matrices=False)
    directions = directions[sizes > 1e-3 * max(sizes[0], 1e-12)]
    return (flat - (flat @ directions.T) @ directions).reshape(small.shape)


def alike(small: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs of images that look alike, as they are, mirrored or turned.

    What all images of the set have in common (a round field of view, say) is left out first: their mean in all views.

    Parameters
    ----------
    small
        Small versions, (N, n, ...).

    Returns
    -------
    pairs
        Numbers i < j of two images, and their largest correlation, from ``ALIKE`` on.
    """
    known = np.flatnonzero(small.reshape(len(small), -1).any(axis=1))
    if len(known) < 2:
        return []
    flat = comparable(small[known])
    pairs: list[tuple[int, int, float]] = []
    for start in range(0, len(known), _AT_ONCE):
        here = flat[0, start : start + _AT_ONCE]
        best = np.max([here @ view[start:].T for view in flat], axis=0)
        for i, j in zip(*np.nonzero(np.triu(best >= ALIKE, 1)), strict=True):
            pairs.append((int(known[start + i]), int(known[start + j]), float(best[i, j])))
    return pairs
