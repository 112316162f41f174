"""Your own network: all the pipeline needs is `Name(spatial_dims, in_channels, out_channels, *, settings)`."""

from torch import Tensor, nn

from biocnn.nn.blocks import ConvBlock, GlobalPool


class SmallNet(nn.Module):
    """Two convolutions, a global maximum and a linear layer: x (N, C, *spatial) to logits (N, K)."""

    def __init__(
        self, spatial_dims: int, in_channels: int, out_channels: int, *, channels: int = 16, kernel_size: int = 15
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            ConvBlock(spatial_dims, in_channels, channels, kernel_size),
            ConvBlock(spatial_dims, channels, channels, 3),
        )
        self.pool = GlobalPool("max")
        self.head = nn.Linear(channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.features(x)))
