"""Masks and classes of images of any size, and their connected pieces across blocks."""

from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from biocnn.apply.segment.maps import MeanMaps
from biocnn.apply.segment.pieces import Pieces, merged, pieces_of, together
from biocnn.apply.segment.scratch import Scratch
from biocnn.prediction.tiles import grown, inside
from biocnn.tasks.maps import ClassMap


def connect_blocks(
    maps: MeanMaps, task: ClassMap, postprocess: dict[str, Any], numbers: Scratch, memory_gb: float
) -> tuple[Pieces, np.ndarray]:
    """Find the connected pieces of each class, block by block; diagonal neighbours are connected.

    Parameters
    ----------
    maps
        Maps of the image.
    task, postprocess
        Task that turns maps into classes, and its settings.
    numbers
        Receives a number for each pixel that is not background.
    memory_gb
        Not used: blocks are the regions of the maps.

    Returns
    -------
    pieces
        Pieces; the score is the probability of their class, and the uncertainty is the entropy.
    row
        Row of the piece of each number; -1 for number 0, the background.
    """
    from skimage.measure import label

    parts, edges, kinds = [], [], np.zeros(1, np.uint8)
    for region in maps.regions:
        p = maps.region(region)
        found = task.decide(p, postprocess)
        window = grown(region, 1, numbers.shape)
        here = inside(region, window)
        known = numbers.read(window)
        classes = kinds[known]
        classes[here] = found
        joined = label(classes)  # connects equal classes, including the pixels around the block
        present = np.zeros(int(joined.max()) + 1, bool)
        present[joined[here]] = True
        present[0] = False
        local = np.where(present, np.cumsum(present), 0)
        score = np.take_along_axis(task.distribution(p), found[None], 0)[0]
        pieces = pieces_of(local[joined[here]], region, numbers.shape, found, [score, task.entropy(p)])
        number = np.where(local > 0, local + len(kinds) - 1, 0).astype(np.int32)
        numbers.add(region, number[joined[here]])
        around = (known > 0) & present[joined]
        edges.append(np.unique(np.stack([number[joined[around]], known[around]]), axis=1))
        parts.append(pieces)
        kinds = np.concatenate([kinds, pieces.kind])
    return _united(together(parts), np.concatenate(edges, axis=1) - 1)


def _united(pieces: Pieces, edges: np.ndarray) -> tuple[Pieces, np.ndarray]:
    """Unite pieces of blocks that are joined by an edge."""
    n = len(pieces.first)
    if n == 0:
        return pieces, np.full(1, -1)
    _, root = connected_components(coo_array((np.ones(edges.shape[1]), (edges[0], edges[1])), (n, n)), directed=False)
    return merged(pieces, root), np.append(-1, root)
