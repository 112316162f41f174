"""What a network learns of labelled objects: a class map and a distance map."""

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
