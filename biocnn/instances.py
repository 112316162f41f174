"""Objects and their maps: labels -> targets a network learns, predicted maps -> labels."""

import numpy as np
from scipy import ndimage

BACKGROUND, INSIDE, BOUNDARY = 0, 1, 2


def instance_targets(labels: np.ndarray) -> np.ndarray:
    """Turn object labels into what a network learns: a class map and a distance map.

    Parameters
    ----------
    labels
        Integers, shape (*spatial), 2D or 3D: 0 = background, any other number one object.

    Returns
    -------
    targets
        Shape (2, *spatial), uint8. Channel 0: 0 = background, 1 = inside, 2 = inner boundary, that is the pixels of an
        object within 2 pixels of anything that is not this object (thinner in objects too small to keep an inside;
        a neighbour that touches counts as outside, the end of the image does not). Channel 1: 255 times the distance
        to the object's own edge, divided by the largest such distance in the object; 0 in the background.
    """
    distance = edge_distance(labels)
    largest = _largest_per_object(distance, labels)
    classes = np.where(labels > 0, INSIDE, BACKGROUND).astype(np.uint8)
    classes[(labels > 0) & (distance <= np.minimum(2, largest / 2))] = BOUNDARY
    return np.stack([classes, np.rint(255 * distance / largest).astype(np.uint8)])


def edge_distance(labels: np.ndarray) -> np.ndarray:
    """Distance of each object pixel to its own object's edge, in pixels: 1 on the edge, 0 in the background.

    The edge are pixels with another label among their 8 (26) neighbours. A straight way out of an object ends on
    such a pixel of that very object, so a single transform of the whole image serves all objects at once.
    """
    window = 3
    differs = ndimage.maximum_filter(labels, window, mode="nearest") != labels
    differs |= ndimage.minimum_filter(labels, window, mode="nearest") != labels
    foreground = labels > 0
    edge = differs & foreground
    if not edge.any():  # nothing to measure from: no object, or one that fills the image
        return foreground.astype(np.float32)
    distance = ndimage.distance_transform_edt(~edge).astype(np.float32)
    return np.where(foreground, distance + 1, 0)


def _largest_per_object(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The largest value of each pixel's object; 1 in the background."""
    largest = np.ones(values.shape, np.float32)
    where = labels > 0
    ids = labels[where]
    if ids.size == 0:
        return largest
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order], prepend=ids[order[0]] - 1))
    maxima = np.maximum.reduceat(values[where][order], starts)
    spread = np.empty(ids.size, np.float32)
    spread[order] = np.repeat(maxima, np.diff(starts, append=ids.size))
    largest[where] = spread
    return largest


def label_instances(
    probability: np.ndarray,
    *,
    mask_threshold: float = 0.5,
    seed_threshold: float = 0.6,
    smoothing: float = 1.0,
    min_size: int = 16,
) -> np.ndarray:
    """Turn a network's maps into labelled objects.

    Parameters
    ----------
    probability
        Shape (4, *spatial): P(background), P(inside), P(boundary), and the distance to the object's edge over the
        object's largest (what `instance_targets` makes, from a network).
    mask_threshold
        A pixel belongs to some object where 1 - P(background) is larger: inside and boundary alike.
    seed_threshold
        Each connected piece in which the distance map, less P(boundary), is larger starts one object.
    smoothing
        Standard deviation of the Gaussian blur of the map that seeds are read from, in pixels.
    min_size
        Objects of fewer pixels are removed.

    Returns
    -------
    labels
        Shape (*spatial), int32: 0 = background, 1..n = objects, each connected and without holes.
    """
    from skimage.segmentation import watershed

    mask = probability[0] < 1 - mask_threshold
    height = seed_map(probability, smoothing)
    full = np.ones((3,) * mask.ndim, bool)
    seeds, _ = ndimage.label(mask & (height > seed_threshold), structure=full)
    labels = watershed(-height, _seed_every_piece(seeds, mask, full), mask=mask)
    labels = fill_holes(_drop_small(labels, min_size))
    return labels.astype(np.int32)


def seed_map(probability: np.ndarray, smoothing: float) -> np.ndarray:
    """The landscape that seeds and watershed share: high in the middle of objects, low between them."""
    height = np.asarray(probability[3] - probability[2], np.float32)
    return ndimage.gaussian_filter(height, smoothing) if smoothing else height


def _seed_every_piece(seeds: np.ndarray, mask: np.ndarray, structure: np.ndarray) -> np.ndarray:
    """Give each connected piece of the mask that has no seed one of its own, so that faint objects are kept."""
    pieces, count = ndimage.label(mask, structure=structure)
    seeded = np.zeros(count + 1, bool)
    seeded[pieces[seeds > 0]] = True
    seeded[0] = True
    return np.where(seeded[pieces], seeds, pieces + seeds.max(initial=0))


def _drop_small(labels: np.ndarray, min_size: int) -> np.ndarray:
    """Remove objects of fewer than ``min_size`` pixels and number the others 1..n."""
    keep = np.bincount(labels.ravel()) >= min_size
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0)[labels]


def fill_holes(labels: np.ndarray) -> np.ndarray:
    """Fill background enclosed by one single object; gaps between several objects and at the image's end stay.

    Parameters
    ----------
    labels
        Shape (*spatial), integers.

    Returns
    -------
    labels
        A copy with its holes filled.
    """
    holes, count = ndimage.label(labels == 0)
    if count <= 1:
        return labels.copy()
    window = 3
    highest = ndimage.maximum_filter(labels, window)
    lowest = ndimage.minimum_filter(np.where(labels == 0, labels.max() + 1, labels), window)
    numbers = np.arange(count + 1)
    top = ndimage.maximum(highest, holes, numbers)
    bottom = ndimage.minimum(lowest, holes, numbers)
    owner = np.where(top == bottom, top, 0).astype(labels.dtype)
    owner[0] = 0
    owner[_numbers_at_ends(holes)] = 0
    return np.where(labels == 0, owner[holes], labels)


def _numbers_at_ends(values: np.ndarray) -> np.ndarray:
    """The numbers that occur on the outermost pixels of an array."""
    faces = [values.take(end, axis) for axis in range(values.ndim) for end in (0, -1)]
    return np.unique(np.concatenate([face.ravel() for face in faces]))
