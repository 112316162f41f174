"""Region proposal network: boxes that may contain an object of any class."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from biocnn.nn.anchors import anchor_shapes, grid_anchors
from biocnn.nn.blocks import ConvBlock
from biocnn.nn.box_targets import match, sample
from biocnn.nn.boxes import clip, corners, decode, encode, nms_by_class
from biocnn.nn.layers import Conv

MOST = {True: 2000, False: 1000}  # in training and prediction: proposals of each level, and then of an image
OVERLAP = 0.7  # of two proposals, at most
POSITIVE, NEGATIVE = 0.7, 0.3  # overlap with an object from which an anchor belongs to it, and below which to none
SAMPLED, SHARE = 256, 0.5  # anchors of an image that are learned from, and at most this share with objects
BETA = 1 / 9  # error from which the smooth L1 loss is linear
LEAST = 1e-3  # side of a box, in pixels


class Scored(NamedTuple):
    """Scores (N, A), codes (N, A, 4) and anchors (A, 4) of each level."""

    scores: list[Tensor]
    codes: list[Tensor]
    anchors: list[Tensor]


class ProposalNetwork(nn.Module):
    """Score and position of the object at each anchor of a pyramid, and proposals: the best of them.

    Parameters
    ----------
    channels
        Number of channels of all levels of the pyramid.
    strides
        Pixels of the image for each position of a level, finest level first.
    sizes
        Side of the anchors of each level if they are square, in pixels.
    ratios
        Ratios of height to width; at each position, there is an anchor for each.

    References
    ----------
    Ren et al., NeurIPS 2015, arXiv:1506.01497.
    """

    shapes: Tensor

    def __init__(self, channels: int, strides: Sequence[int], sizes: Sequence[float], ratios: Sequence[float]) -> None:
        super().__init__()
        self.strides = strides
        self.register_buffer("shapes", torch.stack([anchor_shapes(size, ratios) for size in sizes]), persistent=False)
        self.hidden = ConvBlock(2, channels, channels, norm=None)
        self.score, self.code = Conv(2, channels, len(ratios), 1), Conv(2, channels, 4 * len(ratios), 1)
        for conv in (self.hidden.conv, self.score, self.code):
            nn.init.normal_(conv.conv.weight, std=0.01)
            assert conv.conv.bias is not None
            nn.init.zeros_(conv.conv.bias)

    def forward(self, levels: Sequence[Tensor]) -> Scored:
        """Score the anchors of each level of features (N, channels, *spatial)."""
        hidden = [self.hidden(x) for x in levels]
        scores = [by_anchor(self.score(x), 1)[..., 0] for x in hidden]
        codes = [by_anchor(self.code(x), 4) for x in hidden]
        grids = zip(levels, self.strides, self.shapes, strict=True)
        return Scored(scores, codes, [grid_anchors(x.shape[2:], stride, shapes) for x, stride, shapes in grids])

    @torch.no_grad()
    def propose(self, scored: Scored, size: Sequence[int]) -> list[Tensor]:
        """Return the best boxes of each image of a ``size``, shape (P, 4), without duplicates, highest score first."""
        most, boxes, level = MOST[self.training], [], []
        best = [score.topk(min(most, score.shape[1]), 1) for score in scored.scores]
        for number, (_, place) in enumerate(best):
            code = scored.codes[number].gather(1, place[..., None].expand(-1, -1, 4))
            boxes.append(clip(decode(code, scored.anchors[number][place]), size))
            level.append(torch.full(place.shape[1:], number, device=place.device))
        found, score, levels = torch.cat(boxes, 1), torch.cat([values for values, _ in best], 1), torch.cat(level)
        proposals = []
        for of_image, points in zip(found, score, strict=True):
            (large,) = is_large(of_image).nonzero(as_tuple=True)
            proposals.append(
                of_image[large[nms_by_class(of_image[large], points[large], levels[large], OVERLAP)[:most]]]
            )
        return proposals

    def loss(self, scored: Scored, truths: Sequence[Tensor]) -> Tensor:
        """Return the loss of scores and codes at a sample of anchors; truths are the boxes of each image, (M, 5)."""
        boxes, score, code = torch.cat(scored.anchors), torch.cat(scored.scores, 1), torch.cat(scored.codes, 1)
        logits, targets, errors = [], [], []
        for of_image, (points, given) in zip(truths, zip(score, code, strict=True), strict=True):
            found = match(boxes, of_image, positive=POSITIVE, negative=NEGATIVE, best=True)
            positive, negative = sample(found, SAMPLED, SHARE)
            logits += [points[positive], points[negative]]
            targets += [torch.ones_like(logits[-2]), torch.zeros_like(logits[-1])]
            wanted = encode(of_image[found[positive], 1:], boxes[positive])
            errors.append(smooth_l1_loss(given[positive], wanted, beta=BETA, reduction="sum"))
        drawn = torch.cat(logits)
        total = binary_cross_entropy_with_logits(drawn, torch.cat(targets), reduction="sum") + sum(errors)
        return total / max(1, len(drawn))


def by_anchor(x: Tensor, values: int) -> Tensor:
    """Turn a map of all anchors' values, (N, anchors x values, *spatial), into one row per anchor, at least float32."""
    rows = x.movedim(1, -1).reshape(len(x), -1, values)
    return rows.to(torch.promote_types(x.dtype, torch.float32))


def is_large(boxes: Tensor) -> Tensor:
    """Return which boxes are not empty, or nearly so, after they were clipped to the image."""
    first, opposite = corners(boxes)
    return (opposite - first > LEAST).all(-1)
