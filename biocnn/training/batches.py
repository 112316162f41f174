"""From a stored data set to batches on the device; what is random is a function of (seed, epoch, example)."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from biocnn.augment import DRAWS
from biocnn.augment.move import Move, Moves
from biocnn.config.registry import REGISTRY, find, resolve, suited
from biocnn.config.schema import Chosen, own_settings
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.foreground import Foreground
from biocnn.data.fresh import FreshShuffles
from biocnn.io.padded import pad
from biocnn.nn.encode import normalise, one_hot, to_tensor
from biocnn.nn.layers import LAST
from biocnn.tasks.inputs import Input
from biocnn.training.patches import Cutter, PatchLoader

BATCH = 512  # sequences at a time, where memory allows
Augment = Callable[[Tensor, Tensor], tuple[Tensor, Move]]


def draws(seed: int, epoch: int, name: str, shape: tuple[int, ...]) -> Tensor:
    """Uniform draws that depend on nothing but the arguments; row i belongs to example i of the epoch."""
    key = zlib.crc32(f"{seed} {epoch} {name}".encode())
    return torch.rand(shape, generator=torch.Generator().manual_seed(key))


def seed_dropout(seed: int, step: int, rank: int, device: torch.device) -> None:
    """Make what torch draws a function of the seed, the step and the process."""
    # torch.manual_seed asks every kind of device, which takes .1 ms.
    number = ((seed * 1_000_003 + step) * 1_009 + rank) % 2**63  # what torch takes
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


def augmentations(sections: Sequence[Chosen]) -> list[tuple[str, Augment]]:
    """The experiment's augmentations, in order, with a name that keeps their draws apart."""
    found = []
    for i, section in enumerate(sections):
        found.append((f"{i} {section.name}", partial(find("augment", section.name), **own_settings(section))))
    return found


def augmented(
    augment: Sequence[tuple[str, Augment]], x: Tensor, draws: dict[str, Tensor], index: Tensor
) -> tuple[Tensor, Move]:
    """A batch after all augmentations, and how its pixels moved; ``index`` says which of the draws are its own.

    Raises
    ------
    InputError
        Where a function does not return a move.
    """
    moves = []
    for name, function in augment:
        x, move = function(x, draws[name][index].to(x.device))
        if not isinstance(move, Move):
            raise InputError(
                f"augment.{name}: returns {type(move).__name__} in the place of a Move",
                "return x, STAY where no pixel moves: from biocnn.augment.move import STAY",
            )
        moves.append(move)
    return x, Moves(moves)


class SequenceBatches:
    """Sequences of one part, resident on the device as one byte a base.

    Parameters
    ----------
    dataset
        The stored data set.
    rows
        Its rows to use.
    device
        Where batches are wanted.
    sections
        The experiment's augmentations.
    patch, workers, foreground
        Of no use: sequences are seen whole.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: np.ndarray,
        device: torch.device,
        sections: Sequence[Chosen] = (),
        patch: Sequence[int] | None = None,
        workers: int = 0,
        foreground: float = 0.0,
    ) -> None:
        self.flank = dataset.facts.flank
        if patch:
            said = f"train.patch: {list(patch)}, but the data are sequences"
            raise InputError(said, "leave it out: they are seen whole")
        _check_shift(sections, self.flank)
        self.target, self.augment = dataset.task.target, augmentations(sections)
        same = (dataset.x.shapes == dataset.x.shapes[0]).all()
        codes = dataset.x.stacked(rows) if same else pad([dataset.x[i] for i in rows])
        self.fresh = FreshShuffles(codes, dataset.examples.iloc[rows], self.flank)
        self.codes = self.drawn = torch.from_numpy(codes).to(device)
        self.y = torch.from_numpy(dataset.y.stacked(rows)).to(device)

    def __len__(self) -> int:
        return len(self.codes)

    def plan(self, seed: int, epoch: int, batch_size: int, steps: int | None) -> list[Tensor]:
        """Example numbers of each batch: a permutation of all; the last batch may be smaller, or larger by one.

        Also draws what is random in this epoch: augmentation, and the shuffled negatives of the training part.
        """
        device = self.codes.device
        order = draws(seed, epoch, "order", (len(self),)).argsort().to(device)
        self.draws = {name: draws(seed, epoch, name, (len(self), DRAWS)).to(device) for name, _ in self.augment}
        if len(self.fresh.rows):
            self.drawn = self.codes.clone()
            self.drawn[self.fresh.rows] = torch.from_numpy(self.fresh.draw(seed, epoch)).to(device)
        batches = list(order.split(batch_size))
        if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:  # one example alone would break batch norm
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches[:steps]

    def load(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented batches, in order."""
        return map(self.get, indices)

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Augmented batch: x of shape (N, 4, L), y of shape (N, K)."""
        x, move = augmented(self.augment, self.drawn.index_select(0, index), self.draws, index)
        return self._see(x), self.target.warp(self.y.index_select(0, index), move, x.shape[1:])

    def plain(self, batch_size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """All examples in order, as they are."""
        for start in range(0, len(self), batch_size):
            yield self._see(self.codes[start : start + batch_size]), self.y[start : start + batch_size]

    def windows(self) -> np.ndarray:
        """Codes of all examples without their flanks, shape (N, L), uint8."""
        return self._cut(self.codes).cpu().numpy()

    def _see(self, codes: Tensor) -> Tensor:
        return one_hot(self._cut(codes))

    def _cut(self, codes: Tensor) -> Tensor:
        return codes[:, self.flank : codes.shape[1] - self.flank]


class ImageBatches:
    """Patches of the images of one part, cut from the memory-mapped store.

    Parameters
    ----------
    dataset, rows, device, sections
        As for sequences.
    patch
        Length of each side of a patch, in pixels; None: as the data lead to.
    workers
        Processes that cut patches beforehand; 0: this one cuts them when they are wanted.
    foreground
        Share of the patches that are laid around a pixel of any class but the commonest.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: np.ndarray,
        device: torch.device,
        sections: Sequence[Chosen] = (),
        patch: Sequence[int] | None = None,
        workers: int = 0,
        foreground: float = 0.0,
    ) -> None:
        dims = dataset.facts.spatial_dims
        if patch and len(patch) != dims:
            said = f"train.patch: {list(patch)}, but the data are images of {dims} dimensions"
            raise InputError(said, f"give {dims} lengths, in pixels")
        self.dataset, self.rows, self.device = dataset, rows, device
        self.augment, self.patch = augmentations(sections), list(patch or dataset.facts.decisions["patch"].value)
        self.ranges = torch.from_numpy(dataset.ranges)
        shapes = dataset.x.shapes[rows][:, 1:]
        self.areas = shapes.prod(axis=1).astype(np.float64)
        self.share, self.foreground = foreground, None
        if foreground:
            shares = dataset.facts.class_shares
            self.foreground = Foreground(dataset.folder / "foreground.npy", rows, shapes, shares)
        self.target = dataset.task.target
        cutter = Cutter(dataset.x, dataset.y, self.target, self.patch)
        self.loader = PatchLoader(cutter, workers, device.type == "cuda")

    def __len__(self) -> int:
        """Patches that cover each pixel about once."""
        return int(np.ceil(self.areas / np.prod(self.patch)).sum()) if self.patch else len(self.rows)

    def plan(self, seed: int, epoch: int, batch_size: int, steps: int | None) -> list[Tensor]:
        """Patch numbers of each batch; which image and where are drawn for each number, images by their area."""
        steps = steps or max(1, len(self) // batch_size)
        number = steps * batch_size
        self.where = draws(seed, epoch, "patch", (number, 4)).double().numpy()
        # Even steps with one random start visit every image in proportion to its area, with less noise than free draws.
        points = (np.arange(number) + self.where[0, 3]) / number
        ends = np.cumsum(self.areas) / self.areas.sum()
        image = np.searchsorted(ends[:-1], points, side="right")
        self.image = image[draws(seed, epoch, "order", (number,)).argsort().numpy()]
        if self.foreground:
            u = draws(seed, epoch, "foreground", (number, 7)).double().numpy()
            # As many of each batch as of all.
            forced = np.diff(np.floor(u[0, 6] + self.share * np.arange(number + 1))) > 0
            self.image[forced], where = self.foreground.draw(u[forced], self.patch)
            self.where[forced, : len(self.patch)] = where
        self.draw(seed, epoch, number)
        return list(torch.arange(number).split(batch_size))

    def draw(self, seed: int, epoch: int, number: int) -> None:
        """What happens to each of so many patches."""
        self.draws = {name: draws(seed, epoch, name, (number, DRAWS)) for name, _ in self.augment}

    def load(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented batches, in order."""
        places = [(self.rows[self.image[index.numpy()]], self.where[index.numpy()]) for index in indices]
        for index, (rows, _), (x, y) in zip(indices, places, self.loader.load(places), strict=True):
            yield self._see(x, y, rows, index)

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Augmented batch: x of shape (N, C, *patch), y as the target collates it."""
        return next(self.load([index]))

    def plain(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Whole images one by one, as they are."""
        for row in self.rows:
            yield self._see(to_tensor(self.dataset.x[row])[None], self.target.collate([self.dataset.y[row]]), [row])

    def _see(self, x: Tensor, y: Tensor, rows: Sequence[int], index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Put a batch on the device, scale its intensities, augment it."""
        x, y = x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
        x = normalise(x, *self.ranges[rows].unbind(1))
        if index is not None:
            x, move = augmented(self.augment, x, self.draws, index)
            y = self.target.warp(y, move, x.shape[2:])
        return x.contiguous(memory_format=LAST[x.ndim]), y


def preview(
    dataset: Dataset,
    sections: Sequence[Chosen],
    patch: Sequence[int],
    n: int = 6,
    m: int = 7,
    seed: int = 1,
    foreground: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Patches of the training part as a network sees them.

    Parameters
    ----------
    dataset, sections, patch, foreground
        As for ``make``.
    n
        How many patches, of images in proportion to their area.
    m
        How many times each of them is drawn.
    seed
        Of the draws.

    Returns
    -------
    x, y
        Shapes (n, 1 + m, C, *patch), about 0 to 1, and (n, 1 + m, K, *patch); the first of each row is not augmented.
    """
    batches = make(dataset, dataset.rows("train"), torch.device("cpu"), sections, patch, foreground=foreground)
    (index,) = batches.plan(seed, 0, n, 1)
    changes, batches.augment = batches.augment, []
    seen = [batches.get(index)]
    batches.augment = changes
    for epoch in range(m):
        batches.draw(seed, epoch, n)
        seen.append(batches.get(index))
    x, y = (torch.stack(parts, dim=1).numpy() for parts in zip(*seen, strict=True))
    return x, y


def make(
    dataset: Dataset,
    rows: np.ndarray,
    device: torch.device,
    sections: Sequence[Chosen] = (),
    patch: Sequence[int] | None = None,
    workers: int = 0,
    foreground: float = 0.0,
) -> SequenceBatches | ImageBatches:
    """Batches of the right kind for a data set.

    Raises
    ------
    InputError
        For augmentations or a patch that do not suit the data.
    """
    _check_suited(sections, dataset.input)
    return resolve(dataset.input.batches)(dataset, rows, device, sections, patch, workers, foreground)


def _check_suited(sections: Sequence[Chosen], given: Input) -> None:
    allowed = suited("augment", given.name)
    for name in (section.name for section in sections):
        if name in REGISTRY["augment"] and name not in allowed:
            raise InputError(f"augment: {name} is not for {given.examples}", "allowed: " + ", ".join(allowed))


def _check_shift(sections: Sequence[Chosen], flank: int) -> None:
    for section in sections:
        if section.name == "shift" and section.max > flank > 0:
            raise InputError(
                f"augment: shift.max is {section.max} bp, but only {flank} bp are stored beyond each window",
                f"set data.flank: {section.max}, or a smaller shift",
            )
