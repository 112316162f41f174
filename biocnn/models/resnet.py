"""ResNet: residual blocks in four stages, each at half the size of the one before."""

from collections import OrderedDict
from itertools import pairwise
from typing import Literal

from torch import nn

from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, Positive, Size
from biocnn.models.image_network import ImageNetwork
from biocnn.nn.blocks import ConvBlock, GlobalPool, pool
from biocnn.nn.classifier_blocks import dense_head, residual_block
from biocnn.nn.intensities import NUMBER, Intensities
from biocnn.nn.unet_blocks import as_list

WIDTHS = (64, 128, 256, 512)
STRIDES = {"small": 1, "medium": 2, "large": 4, "huge": 8}  # of the stem, along each axis
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
BOTTLENECK = 50  # least depth with bottlenecks, whose output is four times as wide


class ResNet(ImageNetwork):
    """Residual network: (N, in_channels, *spatial) to (N, out_channels). Input may have any size.

    Parameters
    ----------
    depth
        Number of layers with weights: 18 and 34 have blocks of two convolutions, deeper ones bottlenecks. None: 18,
        unless decided from the data.
    channels
        Widths of the four stages; with bottlenecks, the output of a stage is four times as wide. None: 64, 128, 256,
        512, unless decided from the data.
    stem
        ``large``: a convolution of size 7 and max pooling, each of which halves the size; ``huge``: the same, of the
        image averaged to half its size, for large objects; ``medium``: a convolution of size 5 that halves it, for
        small volumes; ``small``: one of size 3 that keeps it, for images of up to about 64 pixels. None: large, unless
        decided from the data.
    dropout
        Dropout probability of the pooled features.
    mean, sd
        Subtracted from each channel of x (pixels of about 0 to 1), and divisor of the difference. None: 0 and 1,
        unless the network starts from weights of torchvision.
    intensities
        Whether the last layer also receives mean, standard deviation and percentiles of each channel of the image; in a
        training it then starts at a linear model of these. None: no, unless decided from the data.

    Raises
    ------
    InputError
        If there are not four widths.

    References
    ----------
    He et al., CVPR 2016, doi:10.1109/CVPR.2016.90. As in most implementations today, the convolution of size 3 in a
    bottleneck has the stride.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        depth: Literal[18, 34, 50, 101, 152] | None = None,
        channels: tuple[Size, Size, Size, Size] | None = None,
        stem: Literal["small", "medium", "large", "huge"] | None = None,
        dropout: BelowOne = 0.0,
        mean: tuple[float, ...] | None = None,
        sd: tuple[Positive, ...] | None = None,
        intensities: bool | None = None,
    ) -> None:
        depth = 18 if depth is None else depth
        if depth not in BLOCKS:
            raise InputError(f"model.depth is {depth}", "allowed: " + ", ".join(map(str, BLOCKS)))
        per_stage = as_list("model.channels", WIDTHS if channels is None else channels, WIDTHS, exactly=4)
        if stem not in (*STRIDES, None):
            raise InputError(f"model.stem is {stem!r}", "allowed: " + ", ".join(STRIDES))
        if stem in ("small", "medium"):
            size, stride = (5, 2) if stem == "medium" else (3, 1)
            features: list[nn.Module] = [ConvBlock(spatial_dims, in_channels, per_stage[0], size, stride=stride)]
        else:
            halved = ConvBlock(spatial_dims, in_channels, per_stage[0], 7, stride=2)
            layers = {"0": halved, "1": pool("max", spatial_dims, 3, stride=2, padding="same")}
            if stem == "huge":  # with the same names of weights as a large stem
                layers = {"average": pool("average", spatial_dims, ceil=True), **layers}
            features = [nn.Sequential(OrderedDict(layers))]
        wider = 4 if depth >= BOTTLENECK else 1
        widths = [per_stage[0], *(wider * width for width in per_stage)]
        for stage, (ends, inner, number) in enumerate(zip(pairwise(widths), per_stage, BLOCKS[depth], strict=True)):
            bottleneck = inner if depth >= BOTTLENECK else None
            blocks = [
                residual_block(
                    spatial_dims,
                    ends[block > 0],
                    ends[1],
                    stride=2 if stage > 0 and block == 0 else 1,
                    inner=bottleneck,
                )
                for block in range(number)
            ]
            features.append(nn.Sequential(*blocks))
        beside = Intensities(in_channels) if intensities else None
        head = dense_head([widths[-1] + (NUMBER * in_channels if beside else 0), out_channels], dropout)
        super().__init__(nn.Sequential(*features), GlobalPool("average"), head, mean=mean, sd=sd, intensities=beside)
        self.widths = widths[1:]  # channels after each stage
