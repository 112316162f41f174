"""Train with nnU-Net's default augmentation of 2D patches (batchgeneratorsv2) in a loader with two workers."""

import math

import numpy as np
import torch
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.sides.common import DEVICE, read_task
from benchmarks.sides.image_loop import train

ROTATION, MIRROR, SCALE = (-math.pi, math.pi), (0, 1), (0.85, 1.25)  # as in nnU-Net for square 2D patches


class Patches(Dataset):
    """Random crops, larger than the patch to allow rotation, transformed by nnU-Net."""

    def __init__(self, x: Tensor, y: Tensor, number: int, patch: list[int]) -> None:
        self.x, self.y, self.number = x, y.to(torch.int16), number
        self.size = get_patch_size(patch, ROTATION, ROTATION, ROTATION, SCALE).tolist()
        self.transform = nnUNetTrainer.get_training_transforms(patch, ROTATION, None, MIRROR, False)

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        x, y = self.x[i % len(self.x)], self.y[i % len(self.y)]
        row, column = (int(torch.randint(n - s + 1, ())) for n, s in zip(x.shape[1:], self.size, strict=True))
        window = (slice(None), slice(row, row + self.size[0]), slice(column, column + self.size[1]))
        found = self.transform(image=x[window].clone(), segmentation=y[window].clone())
        return found["image"], found["segmentation"].float()


def main() -> None:
    """Train, and report the time of an epoch (training and validation)."""
    task = read_task()
    arrays = np.load(f"{task['data']}/peers.npz")
    x, y = (torch.from_numpy(arrays[f"train_{key}"]) for key in "xy")
    patches = Patches(x, y, task["steps_per_epoch"] * task["batch_size"], task["patch"])
    settings = {"num_workers": 2, "persistent_workers": True, "pin_memory": DEVICE.type == "cuda"}
    train(DataLoader(patches, task["batch_size"], shuffle=True, **settings), arrays, task)


main()
