"""Statistics of the intensities of an image, which join the features of a network before its last layer."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
NUMBER = 2 + len(PERCENTILES)  # statistics per channel
SAMPLED = 2**14  # positions per channel, about, from which they are computed
LEAST = 1e-6  # standard deviation from which a statistic counts; intensities are about 0 to 1


class Intensities(nn.Module):
    """Mean, standard deviation and percentiles of each channel, standardised: (N, C, *spatial) to (N, 9 * C), float32.

    No gradient passes to x. Before `fit`, statistics are not standardised.
    """

    center: Tensor
    factor: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(NUMBER * channels))
        self.register_buffer("factor", torch.ones(NUMBER * channels))

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Standardise, so that statistics of these images have mean 0 and standard deviation 1, or all 0 if constant.

        Parameters
        ----------
        batches
            Images, each batch (N, C, *spatial).
        """
        found = torch.cat([statistics(x) for x in batches]).double()
        spread = found.std(dim=0, correction=0)
        self.center.copy_(found.mean(dim=0))
        self.factor.copy_(torch.where(spread > LEAST, 1 / spread, 0))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return (statistics(x) - self.center) * self.factor


def statistics(x: Tensor) -> Tensor:
    """Return mean, standard deviation and percentiles of each channel: (N, C, *spatial) to (N, 9 * C), float32."""
    values = x.flatten(2).float()
    values = values[:, :, :: values.shape[2] // SAMPLED | 1].contiguous()  # odd, to sample all columns
    levels = torch.tensor(PERCENTILES, device=x.device) / 100
    moments = [values.mean(dim=2), values.std(dim=2, correction=0)]
    return torch.stack([*moments, *values.quantile(levels, dim=2)], dim=2).flatten(1)
