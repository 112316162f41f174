"""RoI align: features inside boxes, interpolated to the same size for all boxes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from biocnn.nn.boxes import area, corners

CANONICAL, LEVEL = 224, 4  # a box with this side is read from the level with stride 2 ** LEVEL = 16


def roi_align(
    features: Sequence[Tensor],
    strides: Sequence[int],
    boxes: Tensor,
    *,
    size: int = 7,
    samples: int = 2,
) -> Tensor:
    """Return features inside boxes, shape (M, C, size, size) in 2D.

    A box is divided into ``size`` bins along each axis. The feature of a bin is the mean of ``samples`` positions along
    each axis, interpolated linearly between the centres of pixels. Each box is read from one level of a pyramid: a side
    of 224 pixels from that with stride 16, half the side from the next finer one. Deterministic also on GPUs; the
    gradient with respect to boxes is not computed.

    Parameters
    ----------
    features
        Levels of a pyramid, shape (N, C, *spatial) each. Those in bfloat16 are interpolated in float32.
    strides
        Pixels of the image for each position of a level, powers of 2, each twice the one before.
    boxes
        Shape (M, 1 + 2 D): number of the image, first corner, opposite corner, in pixels of the image.

    References
    ----------
    He et al., ICCV 2017, arXiv:1703.06870; levels: Lin et al., CVPR 2017, arXiv:1612.03144.
    """
    dims, channels = features[0].ndim - 2, features[0].shape[1]
    device, dtype = boxes.device, torch.promote_types(features[0].dtype, boxes.dtype)
    with torch.no_grad():
        image, found = boxes[:, 0].long(), boxes[:, 1:].to(dtype)
        level = level_of(found, strides)
        sizes = torch.tensor([f.shape[2:] for f in features], device=device)[level]  # (M, D)
        numbers = torch.tensor([f.numel() // channels for f in features], device=device)
        start = (numbers.cumsum(0) - numbers)[level] + image * sizes.prod(1)
        corner, opposite = corners(found / torch.tensor(strides, device=device)[level, None])
        places, weights = start.view(-1, *[1] * 2 * dims), found.new_ones(1)
        for axis in range(dims):
            place, weight = _samples(corner[:, axis], opposite[:, axis], sizes[:, axis], size, samples)
            shape = [len(boxes), *[1] * 2 * dims]
            shape[1 + axis], shape[1 + dims + axis] = place.shape[1:]
            places = places + (place * sizes[:, axis + 1 :].prod(1)[:, None, None]).view(shape)
            weights = weights * weight.view(shape)
        bins = (len(boxes) * size**dims, (2 * samples) ** dims)
        places, weights = places.reshape(bins), weights.reshape(bins)
    flat = torch.cat([f.movedim(1, -1).reshape(-1, channels) for f in features]).to(dtype)
    pooled = embedding_bag(places, flat, mode="sum", per_sample_weights=weights)
    return pooled.view(len(boxes), *[size] * dims, channels).movedim(-1, 1)


def level_of(boxes: Tensor, strides: Sequence[int]) -> Tensor:
    """Return the index of the level from which each box (M, 2 D) is read."""
    side = area(boxes) ** (2 / boxes.shape[1])
    level = (side / CANONICAL).log2().add(LEVEL + 1e-6).floor() - torch.tensor(strides[0]).log2()
    return level.clamp(0, len(strides) - 1).long()


def _samples(start: Tensor, end: Tensor, length: Tensor, size: int, samples: int) -> tuple[Tensor, Tensor]:
    """Return positions along an axis of features, and their weights, shape (M, size, 2 samples).

    Parameters
    ----------
    start, end
        Edges of boxes, in positions of the features, shape (M,).
    length
        Number of positions.
    """
    share = (torch.arange(size * samples, device=start.device) + 0.5) / (size * samples)
    where = start[:, None] + share * (end - start)[:, None] - 0.5  # the centre of the first position is 0
    last = length[:, None] - 1
    where = where.clamp(min=0).minimum(last.to(where))
    low = where.floor()
    after = where - low
    places = torch.stack([low.long(), (low.long() + 1).minimum(last)], -1)
    weights = torch.stack([1 - after, after], -1) / samples
    return places.view(-1, size, 2 * samples), weights.view(-1, size, 2 * samples)
