"""Targets of the candidates of a detector, i.e. anchors or proposals: their objects, and a sample of them."""

import torch
from torch import Tensor

from biocnn.nn.boxes import area, intersection, iou_matrix

BACKGROUND, UNUSED = -1, -2  # instead of the row of an object
PAIRS = 2**19  # candidates times objects compared at once
INSIDE = 0.5  # share of a candidate in a box to be ignored from which it is unused


@torch.no_grad()
def match(candidates: Tensor, truth: Tensor, *, positive: float, negative: float, best: bool = False) -> Tensor:
    """Return the row of ``truth`` that each candidate belongs to, or BACKGROUND, or UNUSED; shape (A,).

    Parameters
    ----------
    candidates
        Shape (A, 2 D).
    truth
        Labels and corners, shape (M, 1 + 2 D). A box with label -1 is neither object nor background: what overlaps it
        and belongs to no object is unused.
    positive
        Intersection over union from which a candidate belongs to the object that it overlaps most.
    negative
        Intersection over union below which it is background; in between it is unused.
    best
        Whether the candidate that overlaps an object most belongs to it in any case.
    """
    found = torch.full((len(candidates),), BACKGROUND, device=truth.device)
    objects, others = (truth[:, 0] >= 0).nonzero()[:, 0], truth[truth[:, 0] < 0, 1:]
    if not len(candidates):
        return found
    parts = candidates.split(max(1, PAIRS // max(1, len(truth))))
    if len(others):
        found[torch.cat([_hidden(part, others, negative) for part in parts])] = UNUSED
    if len(objects):
        pairs = ((iou.max(1), iou.max(0)) for iou in (iou_matrix(part, truth[objects, 1:]) for part in parts))
        of_candidates, of_objects = zip(*pairs, strict=True)
        overlap, which = (torch.cat(values) for values in zip(*of_candidates, strict=True))
        found[overlap >= negative] = UNUSED
        found = torch.where(overlap >= positive, objects[which], found)
        if best:
            most, part = torch.stack([values for values, _ in of_objects]).max(0)
            place = torch.stack([at for _, at in of_objects]).gather(0, part[None])[0] + part * len(parts[0])
            found[place[most > 0]] = objects[most > 0]
    return found


def _hidden(candidates: Tensor, others: Tensor, negative: float) -> Tensor:
    """Return which candidates overlap any of the boxes to be ignored, or lie mostly inside."""
    inside = intersection(candidates[:, None], others) >= INSIDE * area(candidates)[:, None]
    return (inside | (iou_matrix(candidates, others) >= negative)).any(1)


def sample(found: Tensor, number: int, share: float) -> tuple[Tensor, Tensor]:
    """Draw candidates that belong to objects, at most a ``share`` of the ``number``, and fill up with background.

    Parameters
    ----------
    found
        Result of ``match``.

    Returns
    -------
    positive, negative
        Their indices.
    """
    positive = _draw(found >= 0, int(share * number))
    return positive, _draw(found == BACKGROUND, number - len(positive))


def _draw(which: Tensor, number: int) -> Tensor:
    places = which.nonzero()[:, 0]
    return places[torch.randperm(len(places), device=places.device)[:number]]
