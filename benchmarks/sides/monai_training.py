"""Train with MONAI: dictionary transforms per patch, in a loader with two workers."""

import math

import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import (
    Compose,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandFlipd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
)
from torch import Tensor

from benchmarks.sides.common import DEVICE, read_task
from benchmarks.sides.image_loop import train


def augmentation(patch: list[int]) -> Compose:
    """Augment as in biocnn's settings: crop, flips, affine and elastic transform, gamma, contrast, brightness."""
    both = ["image", "mask"]
    return Compose(
        [
            RandSpatialCropd(both, patch, random_size=False),
            RandFlipd(both, prob=0.5, spatial_axis=0),
            RandFlipd(both, prob=0.5, spatial_axis=1),
            Rand2DElasticd(
                both,
                spacing=(64, 64),
                magnitude_range=(0, 10),
                prob=1.0,
                rotate_range=math.pi,
                scale_range=0.25,
                mode=["bilinear", "nearest"],
                padding_mode="reflection",
            ),
            RandAdjustContrastd("image", prob=1.0, gamma=(1 / 1.3, 1.3)),
            RandScaleIntensityd("image", factors=0.3, prob=1.0),
            RandShiftIntensityd("image", offsets=0.1, prob=1.0),
        ]
    )


def collate(examples: list[dict[str, Tensor]]) -> tuple[Tensor, Tensor]:
    """Collate dictionaries of examples to a batch."""
    return tuple(torch.stack([e[key].as_tensor() for e in examples]) for key in ("image", "mask"))


def main() -> None:
    """Train, and report the time of an epoch (training and validation)."""
    task = read_task()
    arrays = np.load(f"{task['data']}/peers.npz")
    x, y = (torch.from_numpy(arrays[f"train_{key}"]) for key in "xy")
    number = task["steps_per_epoch"] * task["batch_size"]
    items = [{"image": x[i % len(x)], "mask": y[i % len(x)].float()} for i in range(number)]
    loader = DataLoader(
        Dataset(items, augmentation(task["patch"])),
        batch_size=task["batch_size"],
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        pin_memory=DEVICE.type == "cuda",
        collate_fn=collate,
    )
    train(loader, arrays, task)


main()
