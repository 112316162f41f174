"""The U-Net of MONAI and the plain loop around it, shared by the sides that differ in their augmentation."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets.basic_unet import BasicUNet, UpCat
from torch import Tensor

from benchmarks.sides.common import fit


def basic_unet() -> BasicUNet:
    """MONAI's BasicUNet with batch norm, and with the widths of biocnn's: its last step up halves the channels, too."""
    block = {"act": ("relu", {"inplace": True}), "norm": "batch", "bias": False}
    network = BasicUNet(2, 1, 1, features=(16, 32, 64, 128, 256, 16), **block)
    network.upcat_1 = UpCat(2, 32, 16, 16, **block)
    return network


def train(loader: Iterable[tuple[Tensor, Tensor]], arrays: dict[str, np.ndarray], task: dict[str, Any]) -> None:
    """Train and report."""
    torch.manual_seed(1)
    fit(basic_unet(), loader, DiceCELoss(sigmoid=True), arrays, task)
