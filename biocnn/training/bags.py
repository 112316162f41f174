"""Batches of bags of images with one target each, all images of one size."""

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
from biocnn.nn.encode import normalise, to_tensor
from biocnn.training.batches import Recipe, augmented, draws, in_batches
from biocnn.training.whole_images import RESIDENT, FramedBatches

Bag = tuple[int, np.ndarray]  # row, and the numbers of its images


class BagFramer(Indexed):
    """Reads images of bags (n, C, *spatial) in batches of one size.

    Parameters
    ----------
    x
        Stored bags.
    frame
        The common size.
    """

    def __init__(self, x: Ragged, frame: Frame) -> None:
        self.x, self.frame = x, frame

    def __getitem__(self, bags: Sequence[Bag]) -> Tensor:
        """Return the images of these bags one after the other, (M, C, *size), as stored."""
        return to_tensor(np.stack([self.frame.apply(self.x[row][image]) for row, images in bags for image in images]))


class BagBatches(FramedBatches):
    """Bags of one split; all their images are brought to one size, and held in memory if they fit."""

    def __init__(self, dataset: Dataset, rows: np.ndarray, device: torch.device, recipe: Recipe) -> None:
        assert recipe.frame
        framer = BagFramer(dataset.x, recipe.frame)
        super().__init__(dataset, rows, device, recipe, framer)
        self.sizes = dataset.x.shapes[rows, 0]
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])
        most = int(self.sizes.max(initial=1))
        self.instances = min(recipe.instances or most, most)
        self.largest = most * prod(recipe.frame.size)  # positions in a batch of `plain`, at most
        self.all = [np.arange(size) for size in self.sizes]
        self.chosen = self.all
        one = framer[[(row, np.arange(1)) for row in rows[:1]]].nbytes if len(rows) else 0
        held = self.starts[-1] * one <= RESIDENT
        self.x = torch.cat([framer[[bag]] for bag in zip(rows, self.all, strict=True)]).to(device) if held else None

    def plan(self, seed: int, epoch: int, batch_size: int, steps: int | None) -> list[Tensor]:
        """Return the numbers of the bags of each batch; draws images and augmentations of this epoch."""
        order = draws(seed, epoch, "order", (len(self),)).argsort()
        ranks = draws(seed, epoch, "instances", (int(self.starts[-1]),)).numpy()
        self.chosen = [
            np.sort(ranks[start : start + size].argsort(kind="stable")[: self.instances])
            for start, size in zip(self.starts, self.sizes, strict=False)
        ]
        self.draw(seed, epoch, len(self))
        return in_batches(order, batch_size)[:steps]

    def draw(self, seed: int, epoch: int, number: int) -> None:
        """Draw the augmentation of each image of all bags."""
        self.draws = {name: draws(seed, epoch, name, (int(self.starts[-1]), DRAWS)) for name, _ in self.augment}

    def load(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented batches in order."""
        bags = [[(int(i), self.chosen[i]) for i in index] for index in indices]
        for index, batch, x in zip(indices, bags, self._read(bags), strict=True):
            places = torch.cat([torch.from_numpy(self.starts[i] + images) for i, images in batch])
            x, move = augmented(self.augment, self._scaled(x, batch), self.draws, places)
            y = self.y[index.to(self.device, non_blocking=True)]
            yield _padded(x, batch, self.instances), self.target.warp(y, move, x.shape[2:])

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return an augmented batch: x (N, instances, C, *size), NaN after the images of smaller bags, and y (N, K)."""
        return next(self.load([index]))

    def plain(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all bags one by one, whole and without augmentation."""
        bags = [[(i, images)] for i, images in enumerate(self.all)]
        for number, (batch, x) in enumerate(zip(bags, self._read(bags), strict=True)):
            yield _padded(self._scaled(x, batch), batch, len(batch[0][1])), self.y[number : number + 1]

    def parts(self, number: int, most: int) -> Iterator[Tensor]:
        """Yield the images of a bag without augmentation, up to ``most`` at a time: (m, C, *size)."""
        images = self.all[number]
        batches = [[(number, images[start : start + most])] for start in range(0, len(images), most)]
        for batch, x in zip(batches, self._read(batches), strict=True):
            yield self._scaled(x, batch)

    def _read(self, bags: Sequence[Sequence[Bag]]) -> Iterator[Tensor]:
        """Yield the images of each batch of bags, which are numbered within the split."""
        if self.x is None:
            return self.loader.load([[(self.rows[i], images) for i, images in batch] for batch in bags])
        resident, starts = self.x, self.starts
        places = (np.concatenate([starts[i] + images for i, images in batch]) for batch in bags)
        return (resident[torch.from_numpy(place).to(self.device, non_blocking=True)] for place in places)

    def _scaled(self, x: Tensor, batch: Sequence[Bag]) -> Tensor:
        rows = np.repeat([self.rows[i] for i, _ in batch], [len(images) for _, images in batch])
        return normalise(x.to(self.device, non_blocking=True), *self.ranges[rows].unbind(1))


def _padded(x: Tensor, batch: Sequence[Bag], number: int) -> Tensor:
    """Return the images of bags, (M, C, *size), as (N, number, C, *size), with NaN after those of smaller bags."""
    padded = x.new_full((len(batch), number, *x.shape[1:]), torch.nan)
    for bag, images in zip(padded, x.split([len(images) for _, images in batch]), strict=True):
        bag[: len(images)] = images
    return padded
