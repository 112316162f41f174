"""Batches of whole images with one target each, all of one size."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as Indexed

from biocnn.augment import DRAWS
from biocnn.data.dataset import Dataset
from biocnn.data.frame import Frame
from biocnn.io.ragged import Ragged
from biocnn.nn.covariates import beside
from biocnn.nn.encode import normalise, to_tensor
from biocnn.nn.layers import LAST
from biocnn.training.batches import Recipe, augmentations, augmented, draws, in_batches
from biocnn.training.patches import PatchLoader

PLAIN = 64  # images per batch in inference
RESIDENT = 2 * 2**30  # bytes of images up to which they stay in the memory of the device


class Framer(Indexed):
    """Reads images (C, *spatial) of any size in batches of one size.

    Parameters
    ----------
    x
        Stored images.
    frame
        The common size.
    """

    def __init__(self, x: Ragged, frame: Frame) -> None:
        self.x, self.frame = x, frame

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return images (N, C, *size), as stored."""
        return to_tensor(np.stack([self.frame.apply(self.x[row]) for row in rows]))


class FramedBatches:
    """What batches of images and of bags of images have in common; ``framer`` reads images of one size.

    Parameters
    ----------
    dataset, rows, device
        As for patches of images.
    recipe
        Augmentations, number of processes, and the size of x.
    """

    def __init__(
        self, dataset: Dataset, rows: np.ndarray, device: torch.device, recipe: Recipe, framer: Indexed
    ) -> None:
        self.rows, self.device, self.augment = rows, device, augmentations(recipe.sections)
        self.target, self.ranges = dataset.task.target, torch.from_numpy(dataset.ranges)
        self.y = torch.from_numpy(dataset.y.stacked(rows)).to(device)
        self.loader = PatchLoader(framer, recipe.workers, device.type == "cuda")

    def __len__(self) -> int:
        return len(self.rows)


class WholeBatches(FramedBatches):
    """Whole images of one split, brought to one size; in memory if they fit, else read when they are needed."""

    def __init__(self, dataset: Dataset, rows: np.ndarray, device: torch.device, recipe: Recipe) -> None:
        assert recipe.frame
        framer = Framer(dataset.x, recipe.frame)
        super().__init__(dataset, rows, device, recipe, framer)
        self.largest = min(PLAIN, len(rows)) * prod(recipe.frame.size)  # positions in a batch of `plain`, at most
        self.z = torch.from_numpy(dataset.covariates[rows]).to(device)
        self.x = framer[rows].to(device) if len(rows) * framer[rows[:1]].nbytes <= RESIDENT else None

    def plan(self, seed: int, epoch: int, batch_size: int, steps: int | None) -> list[Tensor]:
        """Return the example numbers of each batch, as for sequences; draws the augmentations of this epoch."""
        order = draws(seed, epoch, "order", (len(self),)).argsort()
        self.draw(seed, epoch, len(self))
        return in_batches(order, batch_size)[:steps]

    def draw(self, seed: int, epoch: int, number: int) -> None:
        """Draw the augmentation of each image."""
        self.draws = {name: draws(seed, epoch, name, (number, DRAWS)) for name, _ in self.augment}

    def load(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented batches in order."""
        for index, x in zip(indices, self._read(indices), strict=True):
            x, move = augmented(self.augment, self._scaled(x, index), self.draws, index)
            index = index.to(self.device, non_blocking=True)
            y = self.target.warp(self.y[index], move, x.shape[2:])
            yield beside(x, self.z[index]).contiguous(memory_format=LAST[x.ndim]), y

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return an augmented batch: x of shape (N, C + Z, *size), y of shape (N, K)."""
        return next(self.load([index]))

    def plain(self, batch_size: int = PLAIN) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images in order, without augmentation."""
        indices = torch.arange(len(self)).split(batch_size)
        for index, x in zip(indices, self._read(indices), strict=True):
            x, index = self._scaled(x, index), index.to(self.device, non_blocking=True)
            yield beside(x, self.z[index]).contiguous(memory_format=LAST[x.ndim]), self.y[index]

    def _read(self, indices: Sequence[Tensor]) -> Iterator[Tensor]:
        if self.x is None:
            return self.loader.load([self.rows[index.numpy()] for index in indices])
        resident = self.x
        return (resident[index.to(self.device, non_blocking=True)] for index in indices)

    def _scaled(self, x: Tensor, index: Tensor) -> Tensor:
        return normalise(x.to(self.device, non_blocking=True), *self.ranges[self.rows[index.numpy()]].unbind(1))
