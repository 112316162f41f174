"""MONAI's U-Net in a plain training loop, shared by the sides that differ in augmentation."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets.basic_unet import BasicUNet, UpCat
from torch import Tensor

from benchmarks.sides.common import fit


def basic_unet() -> BasicUNet:
    """Return MONAI's BasicUNet with batch norm and biocnn's channels: the last upsampling also halves them."""
    block = {"act": ("relu", {"inplace": True}), "norm": "batch", "bias": False}
    network = BasicUNet(2, 1, 1, features=(16, 32, 64, 128, 256, 16), **block)
    network.upcat_1 = UpCat(2, 32, 16, 16, **block)
    return network


def train(loader: Iterable[tuple[Tensor, Tensor]], arrays: dict[str, np.ndarray], task: dict[str, Any]) -> None:
    """Train and report."""
    torch.manual_seed(1)
    fit(basic_unet(), loader, DiceCELoss(sigmoid=True), arrays, task)
