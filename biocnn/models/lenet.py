"""LeNet-5: three convolutions for images of about 32 pixels."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn

from biocnn.models.image_network import ImageNetwork
from biocnn.nn.blocks import ConvBlock, GlobalPool, pool
from biocnn.nn.classifier_blocks import dense_head
from biocnn.nn.layers import Conv

CHANNELS = (6, 16, 120)
HIDDEN = 84
# The channels of the first convolution that each channel of the second one receives in the original.
CONNECTIONS = (
    *([(first + step) % 6 for step in range(3)] for first in range(6)),
    *([(first + step) % 6 for step in range(4)] for first in range(6)),
    [0, 1, 3, 4],
    [1, 2, 4, 5],
    [0, 2, 3, 5],
    [0, 1, 2, 3, 4, 5],
)


class LeNet5(ImageNetwork):
    """Three convolutions of size 5, two poolings, and a hidden layer: (N, C, *spatial) to (N, out_channels).

    Images smaller than 32 pixels are padded at their far ends by repeating the last values. The output of the last
    convolution, a single position for 32 pixels, is averaged over all positions.

    Parameters
    ----------
    original
        Whether to follow the paper: tanh in place of ReLU, mean pooling with a trainable scale and offset in place of
        max pooling, 60 of the 96 connections between the channels of the first two convolutions, and an output layer of
        fixed codes. For images with one channel it has 60,000 weights; otherwise, 61,706 with ten outputs.

    References
    ----------
    LeCun et al., Proceedings of the IEEE 86, 2278-2324 (1998), doi:10.1109/5.726791.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, *, original: bool = False) -> None:
        one, two, three = CHANNELS
        if original:
            features = [
                *(Conv(spatial_dims, in_channels, one, 5, padding="valid"), Squash()),
                *(Subsampling(spatial_dims, one), Squash()),
                *(SparseConv(spatial_dims, CONNECTIONS, 5), Squash()),
                *(Subsampling(spatial_dims, two), Squash()),
                *(Conv(spatial_dims, two, three, 5, padding="valid"), Squash()),
            ]
            head = nn.Sequential(nn.Linear(three, HIDDEN), Squash(), Codes(HIDDEN, out_channels))
        else:
            features = [
                *(ConvBlock(spatial_dims, in_channels, one, 5, padding="valid", norm=None), pool("max", spatial_dims)),
                *(ConvBlock(spatial_dims, one, two, 5, padding="valid", norm=None), pool("max", spatial_dims)),
                ConvBlock(spatial_dims, two, three, 5, padding="valid", norm=None),
            ]
            head = dense_head([three, HIDDEN, out_channels], 0.0)
        super().__init__(nn.Sequential(*features), GlobalPool("average"), head, least=32)
        for layer in self.features:
            if isinstance(layer, SparseConv):
                with torch.no_grad():
                    layer.kernels.conv.weight.div_(2)  # most outputs sum over four kernels


class Squash(nn.Module):
    """The paper's scaled tanh, which maps 1 to 1 and -1 to -1."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """Mean pooling with a trainable scale and offset for each channel."""

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        self.pool = pool("average", spatial_dims)
        self.scale = nn.Parameter(torch.ones(channels, *[1] * spatial_dims))
        self.offset = nn.Parameter(torch.zeros(channels, *[1] * spatial_dims))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.pool(x) + self.offset


class SparseConv(nn.Module):
    """A convolution of which each output channel receives some of the input channels, listed in ``connections``."""

    def __init__(self, spatial_dims: int, connections: Sequence[Sequence[int]], kernel_size: int) -> None:
        super().__init__()
        self.sources = [channel for sources in connections for channel in sources]
        self.numbers = [len(sources) for sources in connections]
        number = len(self.sources)
        self.kernels = Conv(spatial_dims, number, number, kernel_size, padding="valid", groups=number, bias=False)
        self.offset = nn.Parameter(torch.zeros(len(connections), *[1] * spatial_dims))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.kernels(x[:, self.sources]).split(self.numbers, dim=1)
        return torch.stack([part.sum(1) for part in parts], dim=1) + self.offset


class Codes(nn.Module):
    """Fixed codes of -1 and 1, drawn at random, with which features are compared: (N, features) to (N, outputs).

    Logits are scaled scalar products. The paper's squared distances, with a negative scale, have the same softmax: the
    squares of features and of codes add the same number to each.
    """

    codes: Tensor

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.in_features, self.out_features = features, outputs
        self.register_buffer("codes", torch.randint(2, (outputs, features)) * 2.0 - 1)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.codes.T / sqrt(x.shape[1])
