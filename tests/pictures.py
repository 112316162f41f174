"""Small smooth images and volumes for tests of augmentations, with masks that follow from them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from biocnn.augment import DRAWS
from biocnn.tasks.target import ClassMap

SIZES = {2: (40, 40), 3: (12, 20, 20)}


def blobs(n: int = 6, *sizes: int, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Return images without symmetry, with classes by value as masks."""
    sizes = sizes or (40, 40)
    axes = torch.meshgrid(*[torch.arange(size) / size for size in sizes], indexing="ij")
    rows, columns, planes = axes[-2], axes[-1], axes[0] if len(sizes) == 3 else torch.zeros(())
    shift = torch.arange(n * channels).view(n, channels, *[1] * len(sizes))
    x = torch.sin(5 * rows + shift + 4 * planes) + torch.cos(3 * columns * (1 + rows) - 2 * planes)
    return x, classes(x[:, :1])


def classes(x: Tensor) -> Tensor:
    """Return classes 0, 7 and 255, so that any mixing of two is visible."""
    return torch.where(x > 0.8, 255, torch.where(x > 0, 7, 0)).to(torch.uint8)


def uniform(n: int, seed: int = 3) -> Tensor:
    return torch.rand(n, DRAWS, generator=torch.Generator().manual_seed(seed))


def moved(function: Callable, x: Tensor, y: Tensor, u: Tensor, **settings: Any) -> tuple[Tensor, Tensor]:
    """Return augmented images with their masks."""
    new, move = function(x, u, **settings)
    return new, ClassMap().warp(y, move, x.shape[2:])
