"""A custom network of biocnn's blocks: five convolutions, arranged like gReLU's ConvModel."""

from torch import Tensor, nn

from biocnn.nn.blocks import ConvBlock, GlobalPool, pool


class Conv5(nn.Module):
    """A convolution, four more with batch norm and pooling, the mean over all positions, and a linear layer."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, *, channels: int = 64) -> None:
        super().__init__()
        self.stem = ConvBlock(spatial_dims, in_channels, channels, 15, norm=None)
        self.tower = nn.Sequential(
            *(
                nn.Sequential(ConvBlock(spatial_dims, channels, channels, 5), pool("max", spatial_dims))
                for _ in range(4)
            )
        )
        self.mean = GlobalPool("average")
        self.head = nn.Linear(channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mean(self.tower(self.stem(x))))
