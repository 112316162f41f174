"""Training targets of labelled objects: a class map, a distance map, and where objects are close."""

import numpy as np
from scipy import ndimage

from biocnn.losses.instances import GAP_STEPS

BACKGROUND, INSIDE, BOUNDARY = 0, 1, 2
FAR = 32  # pixels; larger gaps are clipped


def instance_targets(labels: np.ndarray) -> np.ndarray:
    """Convert object labels to training targets: a class map, a distance map and a gap map.

    Parameters
    ----------
    labels
        Integers, shape (*spatial), 2D or 3D: 0 = background, any other number is one object.

    Returns
    -------
    targets
        Shape (3, *spatial), uint8. Channel 0: 0 = background, 1 = inside, 2 = inner boundary: the pixels of an object
        within 2 pixels of anything outside this object (thinner in objects too small to keep an inside; a touching
        neighbour counts as outside, the end of the image does not). Channel 1: 255 times the distance to the object's
        own edge, divided by the largest such distance in the object; 0 in the background. Channel 2: 8 times the sum
        of the distances to the nearest two objects (0 within one), in pixels; 255 is 31.9 and more.
    """
    distance = edge_distance(labels)
    largest = _largest_per_object(distance, labels)
    classes = np.where(labels > 0, INSIDE, BACKGROUND).astype(np.uint8)
    classes[(labels > 0) & (distance <= np.minimum(2, largest / 2))] = BOUNDARY
    gap = np.minimum(GAP_STEPS * gap_widths(labels), 255)
    return np.stack([classes, *(np.rint(values).astype(np.uint8) for values in (255 * distance / largest, gap))])


def gap_widths(labels: np.ndarray) -> np.ndarray:
    """Return the sum of the distances to the nearest two objects, in pixels, exact up to 32 and clipped there.

    Uses one transform per object, restricted to the area within 32 pixels of it.
    """
    if labels.max(initial=0) > labels.size:  # find_objects would return a huge list
        labels = np.unique(np.append(0, labels), return_inverse=True)[1][1:].reshape(labels.shape)
    nearest = np.full(labels.shape, FAR, np.float32)
    second = nearest.copy()
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        window = tuple(slice(max(side.start - FAR, 0), side.stop + FAR) for side in box)
        own = labels[window] == number
        if np.count_nonzero(own) == np.count_nonzero(labels[window]):
            continue  # no other object is close
        distance = ndimage.distance_transform_edt(~own).astype(np.float32)
        first = nearest[window]
        second[window] = np.minimum(second[window], np.maximum(first, distance))
        nearest[window] = np.minimum(first, distance)
    return np.minimum(nearest + second, FAR)


def edge_distance(labels: np.ndarray) -> np.ndarray:
    """Return the distance of each object pixel to its object's edge, in pixels: 1 on the edge, 0 in the background.

    The edge consists of pixels with a different label among their 8 (26) neighbours. A straight path out of an object
    ends on such a pixel of that object, so a single transform of the whole image serves all objects.
    """
    window = 3
    differs = ndimage.maximum_filter(labels, window, mode="nearest") != labels
    differs |= ndimage.minimum_filter(labels, window, mode="nearest") != labels
    foreground = labels > 0
    edge = differs & foreground
    if not edge.any():  # no object, or one that fills the image
        return foreground.astype(np.float32)
    distance = ndimage.distance_transform_edt(~edge).astype(np.float32)
    return np.where(foreground, distance + 1, 0)


def _largest_per_object(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the largest value within each pixel's object; 1 in the background."""
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
