"""Images made to excite units of a network: gradient ascent on smooth images with the colours of the data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from biocnn.training.optimizer import AdamW

LR = 0.05
ROUGHNESS = 3.0  # weight of the total variation, in standard deviations of the unit


@dataclass(frozen=True)
class Palette:
    """The pixel values of data: means and limits of channels, shape (C,), and how channels vary together, (C, C)."""

    mean: Tensor
    low: Tensor
    high: Tensor
    mixing: Tensor

    def paint(self, z: Tensor) -> Tensor:
        """Convert unlimited values (N, C, *spatial) to pixels between the limits; zeros become the mean."""
        mean, low, high = (t.view(-1, *[1] * (z.ndim - 2)) for t in (self.mean, self.low, self.high))
        mixed = torch.einsum("ij,nj...->ni...", self.mixing, z)
        return low + (high - low) * torch.sigmoid(torch.logit((mean - low) / (high - low)) + mixed)


def palette(images: Sequence[Tensor]) -> Palette:
    """Measure the palette of images (C, *spatial), of any sizes; limits are percentiles, 0.5 and 99.5."""
    pixels = torch.cat([image.flatten(1)[:, :: max(1, image[0].numel() // 4096)] for image in images], dim=1).float()
    low, high = (pixels.quantile(q, dim=1) for q in (0.005, 0.995))
    high = torch.maximum(high, low + 1e-3)
    mean = pixels.mean(dim=1).clamp(low + 0.02 * (high - low), high - 0.02 * (high - low))
    scaled = (pixels - pixels.mean(dim=1, keepdim=True)) / pixels.std(dim=1, keepdim=True).clamp(min=1e-6)
    together = scaled @ scaled.T / scaled.shape[1] + 1e-3 * torch.eye(len(pixels), device=pixels.device)
    return Palette(mean, low, high, torch.linalg.cholesky(together))


def excite(
    values: Callable[[Tensor], Tensor],
    number: int,
    size: Sequence[int],
    colours: Palette,
    steps: int,
    seed: int,
    scale: Tensor | float = 1.0,
    shift: int = 0,
) -> tuple[Tensor, Tensor]:
    """Make images that maximise values by gradient ascent from noise.

    Images are sums of waves, in which a step changes long waves more than short ones; they are shifted at random in
    each step, and their total variation counts against the value.

    Parameters
    ----------
    values
        Maps images (N, C, *size) to one value for each, (N,).
    number
        Number N of images.
    size
        Pixels along each axis.
    colours
        What pixel values are possible.
    steps
        Number of steps.
    seed
        Seed of the noise and of the shifts; image i starts from the same noise whatever N is.
    scale
        Standard deviation of each value, with which total variation is compared; shape (N,).
    shift
        Largest shift along each axis, in pixels.

    Returns
    -------
    images, gain
        Shape (N, C, *size); and by how much each value exceeds that of the noise, shape (N,).

    References
    ----------
    Simonyan et al., 2013, arXiv:1312.6034; Mahendran and Vedaldi, CVPR 2015, doi:10.1109/CVPR.2015.7299155; waves:
    Olah et al., Distill 2017, doi:10.23915/distill.00007.
    """
    axes = tuple(range(2, 2 + len(size)))
    device, channels = colours.mean.device, len(colours.mean)
    along = [torch.fft.fftfreq(n) for n in size[:-1]] + [torch.fft.rfftfreq(size[-1])]
    frequency = torch.stack([f**2 for f in torch.meshgrid(*along, indexing="ij")]).sum(0).sqrt()
    weight = (sqrt(frequency.numel()) / frequency.clamp(min=1 / max(size)))[..., None].to(device)
    noise = [_noise(seed + i, (channels, *frequency.shape, 2)) for i in range(number)]
    waves = (0.01 * torch.stack(noise)).to(device).requires_grad_(True)
    optimizer = AdamW([{"params": [waves], "lr": LR, "weight_decay": 0.0}], l1=0.0)
    shifts = torch.Generator().manual_seed(seed)
    span = (colours.high - colours.low).view(-1, *[1] * len(size))

    def painted() -> Tensor:
        return colours.paint(torch.fft.irfftn(torch.view_as_complex(waves * weight), s=tuple(size), dim=axes))

    with torch.enable_grad():
        start = painted().detach()
        for _ in range(steps):
            x = painted()
            rough = sum((x.diff(dim=axis) / span).abs().flatten(1).mean(1) for axis in axes)
            moved = torch.randint(-shift, shift + 1, (len(size),), generator=shifts).tolist()
            loss = ROUGHNESS * rough - values(x.roll(moved, axes)) / scale
            (waves.grad,) = torch.autograd.grad(loss.sum(), waves)
            optimizer.step()
    with torch.no_grad():
        found = painted()
        return found, values(found) - values(start)


def _noise(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
