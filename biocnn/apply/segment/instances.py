"""Block-by-block labelling of objects in images of any size, with the result of the whole image."""

import logging
from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np
from scipy import ndimage

from biocnn.apply.segment.maps import KeptMaps, MeanMaps, cuts
from biocnn.apply.segment.pieces import Pieces, pieces_of, together
from biocnn.apply.segment.scratch import Scratch
from biocnn.io.stored_image import Slices
from biocnn.prediction.tiles import grown, inside
from biocnn.tasks.instances import Instances
from biocnn.tasks.watershed import label_instances

MARGIN = {2: 128, 3: 32}  # pixels around a block that are labelled with it, initially
RIM = 16  # pixels along the edges of a window where cut objects may differ from the whole image, at weak smoothing
BLUR = 5  # standard deviations of the smoothing beyond which maps do not differ
BYTES = 150  # memory per pixel during labelling

log = logging.getLogger("biocnn")


def label_blocks(
    maps: MeanMaps, task: Instances, postprocess: dict[str, Any], numbers: Scratch, memory_gb: float
) -> tuple[Pieces, np.ndarray]:
    """Label the objects of an image whose maps are never held as a whole.

    Each block is labelled with a margin, and keeps the objects whose first pixel, in reading order, lies in it. If an
    object that touches the block, or a neighbour of such an object, comes near the end of the margin, the block is
    labelled again with twice the margin. The same holds for foreground without a seed, whose seed may lie outside. The
    objects then equal those of the whole image pixel by pixel, because an object depends only on the maps it covers and
    on adjacent objects.

    If memory allows no larger margin, objects may be cut at its end; the log gives their number.

    Parameters
    ----------
    maps
        Maps of the image.
    task, postprocess
        Task that turns maps into objects, and its settings.
    numbers
        Receives the number of the object of each pixel, its row + 1.
    memory_gb
        Upper bound on the memory for labelling a block, in 10^9 bytes; half of it may be used in addition to keep maps.

    Returns
    -------
    objects
        Objects, with the maps of ``Instances.described``.
    row
        Row of the object of each number; -1 for number 0, the background.
    """
    shape, margin, most = numbers.shape, MARGIN[len(numbers.shape)], memory_gb * 1e9 / BYTES
    blocks = _blocks(cuts(maps.regions), margin)
    kept = KeptMaps(maps, [[max(0, start - margin) for start, _ in along] for along in blocks], memory_gb * 1e9 / 2)
    parts, count, cut, taken = [], 0, 0, 0
    for index in product(*(range(len(along)) for along in blocks)):
        block = tuple(slice(*along[i]) for i, along in zip(index, blocks, strict=True))
        window, found, labels, reaching = _settled(kept, task, postprocess, block, shape, most)
        objects = pieces_of(labels, window, shape, *task.described(found, labels))
        own = np.flatnonzero(_starts_in(objects, block, shape))
        number = np.zeros(len(objects.first) + 1, np.int32)
        number[own + 1] = np.arange(count + 1, count + 1 + len(own))
        taken += numbers.add(window, number[labels])
        parts.append(objects.take(own))
        count, cut = count + len(own), cut + reaching
        kept.passed(index)
    if cut:
        log.warning("objects that may be cut, because they extend beyond the block that fits in memory_gb: %d", cut)
    if taken:
        log.warning("pixels of two objects from different blocks, which the first object keeps: %d", taken)
    return together(parts), np.arange(-1, count)


def _blocks(regions: list[list[tuple[int, int]]], margin: int) -> list[list[tuple[int, int]]]:
    """Cut each axis one margin before the ends of regions, so that the window of a block ends with a region."""
    blocks = []
    for along in regions:
        ends = [stop - margin for _, stop in along[:-1] if stop > margin]
        edges = [0, *ends, along[-1][1]]
        blocks.append(list(pairwise(edges)))
    return blocks


def _settled(
    kept: KeptMaps, task: Instances, postprocess: dict[str, Any], block: Slices, shape: tuple[int, ...], most: float
) -> tuple[Slices, np.ndarray, np.ndarray, int]:
    """Return window, maps and labels of a block with a sufficient margin, and how many objects still exceed it."""
    margin, known = MARGIN[len(shape)], label_instances.__kwdefaults__ | postprocess
    threshold, rim = known["mask_threshold"], max(RIM, int(BLUR * np.max(known["smoothing"])) + 1)
    while True:
        window = grown(block, margin, shape)
        found = kept.read(window)
        labels = task.decide(found, postprocess)
        unclaimed, _ = ndimage.label((found[0] < 1 - threshold) & (labels == 0))
        pieces = np.where(unclaimed, unclaimed + labels.max(), labels)
        reaching = _reaching(pieces, window, block, shape, rim)
        margin *= 2
        if not reaching or _size(grown(block, margin, shape)) > most:
            return window, found, labels, reaching


def _reaching(labels: np.ndarray, window: Slices, block: Slices, shape: tuple[int, ...], rim: int) -> int:
    """Count the objects that touch the block, or adjoin such an object, and come near an end of the window."""
    near = _near_ends(labels, window, shape, rim)
    touching = np.zeros(int(labels.max()) + 1, bool)
    touching[labels[inside(block, window)]] = True
    touching[0] = False
    if not near.any() or not touching.any():
        return 0
    beside = ndimage.binary_dilation(touching[labels], np.ones((3,) * labels.ndim, bool))
    touching[labels[beside]] = True
    return int(np.count_nonzero(touching & near))


def _near_ends(labels: np.ndarray, window: Slices, shape: tuple[int, ...], rim: int) -> np.ndarray:
    """Return whether each label comes near an end of the window that is not an end of the image."""
    near = np.zeros(int(labels.max()) + 1, bool)
    for axis, (part, size) in enumerate(zip(window, shape, strict=True)):
        along = np.moveaxis(labels, axis, 0)
        if part.start > 0:
            near[along[:rim]] = True
        if part.stop < size:
            near[along[-rim:]] = True
    near[0] = False
    return near


def _starts_in(objects: Pieces, block: Slices, shape: tuple[int, ...]) -> np.ndarray:
    """Return whether the first pixel of each object lies in the block."""
    places = np.unravel_index(objects.first, shape)
    return np.all([(p >= part.start) & (p < part.stop) for p, part in zip(places, block, strict=True)], axis=0)


def _size(window: Slices) -> int:
    return prod(part.stop - part.start for part in window)
