"""Faster R-CNN: proposals from a feature pyramid, each classified and refined."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad, smooth_l1_loss

from biocnn.core.errors import InputError
from biocnn.core.ranges import Fraction, Positive, Size
from biocnn.models.detector import Detector
from biocnn.models.resnet import STRIDES, ResNet
from biocnn.models.rpn import ProposalNetwork, is_large
from biocnn.nn.box_targets import match, sample
from biocnn.nn.boxes import clip, decode, encode, nms_by_class
from biocnn.nn.fpn import Pyramid
from biocnn.nn.roi_align import roi_align
from biocnn.nn.unet_blocks import as_list

SIZE = 8  # side of anchors, in positions of their level, unless given
BINS = 7  # of a proposal along each axis
WEIGHTS = (10.0, 5.0)  # of codes: about 1 divided by their standard deviation
STEP = 128  # to a multiple of which the proposals of an image are filled up: oneDNN stores code for each number of them
OVERLAP = 0.5  # with an object, from which a proposal belongs to it
SHARE = 0.25  # of objects among the proposals that are learned from, at most


class FasterRCNN(Detector):
    """Detector in two stages: proposals from a feature pyramid over a ResNet, and a class and box for each.

    Images may have any size; volumes are not supported.

    Parameters
    ----------
    depth, channels, stem
        Of the ``ResNet``. The stem determines the stride of the finest of five levels: 8 pixels (``huge``), 4
        (``large``), 2 (``medium``) or 1 (``small``, for objects of a few pixels).
    sizes
        Sides of square anchors, in pixels: one per level, finest first. None: 8 strides, i.e. 32, 64, 128, 256 and 512
        with a large stem, unless decided from the data.
    ratios
        Ratios of height to width of the anchors.
    pyramid
        Number of channels of the feature pyramid. None: 256, unless decided from the data.
    dense
        Width of the two dense layers that classify and refine proposals. None: 1024, unless decided from the data.
    sampled
        Number of proposals per image to learn from in each step; fewer take less time. None: 512, unless
        decided from the data.
    score
        Smallest score of a box that is found.
    overlap
        Largest intersection over union of two boxes found of the same class.
    most
        Largest number of boxes found in an image.

    Raises
    ------
    InputError
        If there are not two dimensions, or sizes or ratios are missing.

    References
    ----------
    Ren et al., NeurIPS 2015, arXiv:1506.01497; pyramid: Lin et al., CVPR 2017, arXiv:1612.03144; RoI align: He et al.,
    ICCV 2017, arXiv:1703.06870. Here the encoder is trained from random weights or a model file, so its norms are
    trained too.
    """

    BODY = ("features",)

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        depth: Literal[18, 34, 50, 101, 152] | None = None,
        channels: tuple[Size, Size, Size, Size] | None = None,
        stem: Literal["small", "medium", "large", "huge"] | None = None,
        sizes: tuple[Positive, Positive, Positive, Positive, Positive] | None = None,
        ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0),
        pyramid: Size | None = None,
        dense: Size | None = None,
        sampled: Size | None = None,
        score: Fraction = 0.05,
        overlap: Fraction = 0.5,
        most: Size = 1000,
    ) -> None:
        super().__init__()
        if spatial_dims != 2:
            raise InputError(
                f"FasterRCNN has two dimensions, not {spatial_dims}", "use another network for volumes, or their slices"
            )
        body = ResNet(2, in_channels, 1, depth=depth, channels=channels, stem=stem)
        self.features = body.features
        self.strides = [STRIDES[stem or "large"] * 2**level for level in range(5)]
        defaults = [SIZE * stride for stride in self.strides]
        sides = as_list("model.sizes", defaults if sizes is None else sizes, defaults, exactly=5)
        shapes = as_list("model.ratios", ratios, (1, 2))
        pyramid = pyramid or 256
        self.pyramid = Pyramid(2, body.widths, pyramid)
        self.proposals = ProposalNetwork(pyramid, self.strides, sides, shapes)
        self.head = BoxHead(pyramid * BINS**2, dense or 1024, out_channels)
        self.sampled, self.score, self.overlap, self.most = sampled or 512, score, overlap, most

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the losses of proposals and of their classes and boxes; see ``Detector``."""
        levels = self._levels(x)
        scored = self.proposals(levels)
        truths = [y[y[:, 0] == image, 1:] for image in range(len(x))]
        boxes, labels, wanted = [], [], []
        for found, truth in zip(self.proposals.propose(scored, x.shape[2:]), truths, strict=True):
            found = torch.cat([found, truth[truth[:, 0] >= 0, 1:].to(found)])  # to have positive ones from the start
            which = match(found, truth, positive=OVERLAP, negative=OVERLAP)
            positive, negative = sample(which, self.sampled, SHARE)
            own = truth[which[positive]]
            boxes.append(found[torch.cat([positive, negative])])
            labels += [own[:, 0].long(), torch.full_like(negative, self.head.classes)]
            wanted.append(encode(own[:, 1:], found[positive], WEIGHTS))
        return self.proposals.loss(scored, truths) + self.head.loss(
            *self._classify(levels, boxes), torch.cat(labels), torch.cat(wanted)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        size, levels = x.shape[2:], self._levels(x)
        proposals = self.proposals.propose(self.proposals(levels), size)
        by_image = zip(*(level.split(1) for level in levels), strict=True)  # all at once would take much memory
        return [self._detect(own, boxes, size) for own, boxes in zip(by_image, proposals, strict=True)]

    def _levels(self, x: Tensor) -> list[Tensor]:
        """Return the levels of the pyramid, finest first."""
        stem, *stages = self.features
        found, x = [], stem(x)
        for stage in stages:
            x = stage(x)
            found.append(x)
        return self.pyramid(found)

    def _classify(self, levels: Sequence[Tensor], boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return scores and codes of the boxes of all images; see ``BoxHead``."""
        images = torch.cat([box.new_full((len(box), 1), image) for image, box in enumerate(boxes)])
        rois = torch.cat([images, torch.cat(boxes)], 1)
        return self.head(roi_align(levels[:-1], self.strides[:-1], rois, size=BINS))

    def _detect(self, levels: Sequence[Tensor], proposals: Tensor, size: Sequence[int]) -> Tensor:
        """Return the boxes found in an image, given its levels and proposals."""
        filled = pad(proposals, (0, 0, 0, -len(proposals) % STEP))
        scores, codes = (values[: len(proposals)] for values in self._classify(levels, [filled]))
        probability = scores.softmax(1)[:, :-1]
        found = clip(decode(codes, proposals[:, None], WEIGHTS), size)
        row, label = ((probability > self.score) & is_large(found)).nonzero(as_tuple=True)
        boxes, probability = found[row, label], probability[row, label]
        kept = nms_by_class(boxes, probability, label, self.overlap)[: self.most]
        return torch.cat([label[kept, None], probability[kept, None], boxes[kept]], 1).float()


class BoxHead(nn.Module):
    """Two dense layers, then for each box the scores of the classes, and its code for each class.

    Parameters
    ----------
    in_features
        Number of features of a box.
    width
        Units of each dense layer.
    classes
        Number K of classes; background is one more, the last.
    """

    def __init__(self, in_features: int, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.score, self.code = nn.Linear(width, classes + 1), nn.Linear(width, 4 * classes)
        for layer, std in ((self.score, 0.01), (self.code, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (P, C, *bins) to scores (P, K + 1) and codes (P, K, 4)."""
        x = self.dense(features)
        dtype = torch.promote_types(x.dtype, torch.float32)
        return self.score(x).to(dtype), self.code(x).to(dtype).view(-1, self.classes, 4)

    def loss(self, scores: Tensor, codes: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
        """Return the loss, given labels (P,) and the codes (M, 4) of those boxes that are not background, in order."""
        (rows,) = (labels < self.classes).nonzero(as_tuple=True)
        error = smooth_l1_loss(codes[rows, labels[rows]], wanted, reduction="sum")
        return (cross_entropy(scores, labels, reduction="sum") + error) / max(1, len(labels))
