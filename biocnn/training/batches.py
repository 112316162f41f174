"""Batches of a stored data set on the device; all randomness is a function of (seed, epoch, example)."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from biocnn.augment import DRAWS
from biocnn.augment.move import Move, Moves
from biocnn.augment.numbers import uniform
from biocnn.config.registry import REGISTRY, find, resolve, suited
from biocnn.config.schema import Chosen, own_settings
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.foreground import Foreground
from biocnn.data.frame import Frame
from biocnn.data.fresh_shuffles import FreshShuffles
from biocnn.io.fasta import PADDING
from biocnn.metrics.masks import IGNORE
from biocnn.nn.covariates import beside
from biocnn.nn.encode import encoded, normalise, to_tensor
from biocnn.nn.hidden_pixels import draws_for, hide
from biocnn.nn.layers import LAST
from biocnn.tasks.inputs import Input
from biocnn.training.patches import Cutter, PatchLoader

BATCH = 512  # sequences per batch in inference, and
LETTERS = 2**19  # bases, of longer sequences
POOL = 32  # batches among which sequences are sorted by length
Augment = Callable[[Tensor, Tensor], tuple[Tensor, Move]]


def draws(seed: int, epoch: int, name: str, shape: tuple[int, ...]) -> Tensor:
    """Return uniform draws that depend only on the arguments; row i belongs to example i of the epoch."""
    key = zlib.crc32(f"{seed} {epoch} {name}".encode())
    return torch.rand(shape, generator=torch.Generator().manual_seed(key))


def seed_dropout(seed: int, step: int, rank: int, device: torch.device) -> None:
    """Seed torch as a function of the seed, the step and the process."""
    # torch.manual_seed queries every kind of device, which takes 0.1 ms.
    number = ((seed * 1_000_003 + step) * 1_009 + rank) % 2**63  # the range torch accepts
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


def augmentations(sections: Sequence[Chosen]) -> list[tuple[str, Augment]]:
    """Return the experiment's augmentations in order, each with a unique name that identifies its draws."""
    return [
        (f"{i} {section.name}", partial(find("augment", section.name), **own_settings(section)))
        for i, section in enumerate(sections)
    ]


def augmented(
    augment: Sequence[tuple[str, Augment]], x: Tensor, draws: dict[str, Tensor], index: Tensor
) -> tuple[Tensor, Move]:
    """Apply all augmentations to a batch and return it with the move of its pixels; ``index`` selects its draws.

    Raises
    ------
    InputError
        If an augmentation does not return a batch of the same shape and type, and a move.
    """
    moves = []
    for name, function in augment:
        match function(x, draws[name][index].to(x.device, non_blocking=True)):
            case Tensor() as changed, Move() as move if (changed.shape, changed.dtype) == (x.shape, x.dtype):
                x = changed
            case Tensor() as changed, Move():
                raise InputError(
                    f"augment.{name}: returns x of shape {tuple(changed.shape)}, {changed.dtype}, but was given "
                    f"{tuple(x.shape)}, {x.dtype}",
                    "return x of the same shape and type",
                )
            case other:
                raise InputError(
                    f"augment.{name}: returns {_types(other)} instead of x and a Move",
                    "if no pixel moves, return x, STAY (from biocnn.augment.move import STAY)",
                )
        moves.append(move)
    return x, Moves(moves)


def _types(value: object) -> str:
    return ", ".join(type(one).__name__ for one in (value if isinstance(value, tuple) else [value]))


def in_batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Cut example numbers into batches; the last one may be smaller, or larger by one."""
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:  # batch norm fails on a single example
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


@dataclass(frozen=True)
class Recipe:
    """How examples become batches.

    Parameters
    ----------
    sections
        The experiment's augmentations.
    patch
        Length of each side of a patch of an image, in pixels; None: the length decided from the data.
    workers
        Number of processes that read images in advance; 0: this process reads them on demand.
    foreground
        Share of patches with a pixel of a class other than the most frequent one. For sequences, the share of those
        with a class other than background: each of them is drawn once per epoch, and others as often as this share
        allows; 0: all are drawn once.
    frame
        The size of whole images.
    instances
        Images of a bag in a step of the training, at most, drawn anew in each epoch; None: all.
    """

    sections: Sequence[Chosen] = ()
    patch: Sequence[int] | None = None
    workers: int = 0
    foreground: float = 0.0
    frame: Frame | None = None
    instances: int | None = None


class SequenceBatches:
    """Sequences of one split, resident on the device as one byte per base.

    Parameters
    ----------
    dataset
        The stored data set.
    rows
        Rows of the data set to use.
    device
        Device of the batches.
    recipe
        Augmentations, and the share of sequences with a class; sequences are not cut into patches.
    """

    def __init__(self, dataset: Dataset, rows: np.ndarray, device: torch.device, recipe: Recipe) -> None:
        self.flank, foreground = dataset.facts.flank, recipe.foreground
        if recipe.patch:
            raise InputError(
                f"train.patch: {list(recipe.patch)}, but the data are sequences", "leave it out: sequences are not cut"
            )
        _check_shift(recipe.sections, self.flank)
        self.target, self.augment = dataset.task.target, augmentations(recipe.sections)
        codes = dataset.padded(rows)
        self.fresh = FreshShuffles(codes, dataset.examples.iloc[rows], self.flank)
        self.codes = self.drawn = torch.from_numpy(codes).to(device)
        self.batch_size = max(1, min(BATCH, LETTERS // codes.shape[1])) if self.target.spatial else BATCH
        self.largest = min(self.batch_size, len(codes)) * codes.shape[1]  # positions in a batch of `plain`, at most
        self.y = torch.from_numpy(dataset.y.stacked(rows)).to(device)
        self.z = torch.from_numpy(dataset.covariates[rows]).to(device)
        self.signal = torch.from_numpy(dataset.signal_of(rows, flanks=True)).to(device)
        self.lengths = None if dataset.facts.window else (self.codes != PADDING).sum(1)
        self.foreground, self.occupied = foreground, None
        if foreground:
            self.occupied = ((self.y > 0) & (self.y != IGNORE)).flatten(1).any(1)

    def __len__(self) -> int:
        return len(self.codes)

    def plan(self, seed: int, epoch: int, batch_size: int, steps: int | None) -> list[Tensor]:
        """Return the example numbers of each batch, a permutation; the last batch may be smaller, or larger by one.

        Sequences of different lengths share a batch with those of similar length among the next ``POOL`` batches.
        Also draws the randomness of this epoch: augmentation and the shuffled negatives of the training split.
        """
        device = self.codes.device
        order = draws(seed, epoch, "order", (len(self),)).to(device).argsort()
        self.draws = {name: draws(seed, epoch, name, (len(self), DRAWS)).to(device) for name, _ in self.augment}
        if self.occupied is not None:
            occupied = self.occupied[order]
            others = int(occupied.sum()) * (1 - self.foreground) / self.foreground
            order = order[occupied | ((~occupied).cumsum(0) <= others)]
        if len(self.fresh.rows):
            self.drawn = self.codes.clone()
            self.drawn[self.fresh.rows] = torch.from_numpy(self.fresh.draw(seed, epoch)).to(device)
        if self.lengths is None:
            return in_batches(order, batch_size)[:steps]
        pools = [pool[self.lengths[pool].argsort(stable=True)] for pool in order.split(POOL * batch_size)]
        batches = in_batches(torch.cat(pools), batch_size)
        return [batches[i] for i in draws(seed, epoch, "batches", (len(batches),)).argsort().tolist()][:steps]

    def load(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented batches in order."""
        return map(self.get, indices)

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return an augmented batch: x of shape (N, 4 + S + Z, L), L that of the longest, y of shape (N, K)."""
        codes = self.drawn.index_select(0, index)
        if self.lengths is not None:
            codes = codes[:, : int(self.lengths[index].max())]
        x, move = augmented(self.augment, codes, self.draws, index)
        y = self.target.warp(self.y.index_select(0, index), move, x.shape[1:])
        signal = self.signal.index_select(0, index)
        if signal.shape[1]:
            signal = move.maps(signal, "nearest").nan_to_num()  # unknown where nothing is stored, so the mean
        return beside(self.see(x, signal), self.z.index_select(0, index)), y

    def plain(self, batch_size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all examples in order, without augmentation."""
        batch_size = batch_size or self.batch_size
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            yield beside(self.see(self.codes[part], self.signal[part]), self.z[part]), self.y[part]

    def see(self, codes: Tensor, signal: Tensor, shift: int = 0) -> Tensor:
        """Return what a network sees of stored sequences and their tracks, by default without their flanks."""
        seen = slice(self.flank + shift, codes.shape[1] - self.flank + shift)
        return encoded(codes[:, seen], signal[..., seen])


class ImageBatches:
    """Patches of the images of one split, cut from the memory-mapped store.

    Parameters
    ----------
    dataset, rows, device
        As for sequences.
    recipe
        Augmentations, length of the sides, number of processes, and share of patches with a rare class.
    """

    def __init__(self, dataset: Dataset, rows: np.ndarray, device: torch.device, recipe: Recipe) -> None:
        dims, patch, foreground = dataset.facts.spatial_dims, recipe.patch, recipe.foreground
        if patch and len(patch) != dims:
            raise InputError(
                f"train.patch: {list(patch)}, but the images have {dims} dimensions", f"give {dims} lengths, in pixels"
            )
        self.dataset, self.rows, self.device = dataset, rows, device
        self.augment, self.patch = augmentations(recipe.sections), list(patch or dataset.facts.decisions["patch"].value)
        self.ranges = torch.from_numpy(dataset.ranges)
        shapes = dataset.x.shapes[rows][:, 1:]
        self.areas = shapes.prod(axis=1).astype(np.float64)
        self.largest = self.areas.max(initial=0)  # positions in a batch of `plain`, at most
        self.share, self.foreground = foreground, None
        if foreground:
            shares = dataset.facts.class_shares
            self.foreground = Foreground(dataset.folder / "foreground.npy", rows, shapes, shares)
        self.target, self.like_input, self.blind = dataset.task.target, dataset.task.like_input, dataset.task.blind
        cutter = Cutter(dataset.x, dataset.y, self.target, self.patch, dataset.facts.upscale)
        self.loader = PatchLoader(cutter, recipe.workers, device.type == "cuda")

    def __len__(self) -> int:
        """Return the number of patches that cover each pixel about once."""
        return int(np.ceil(self.areas / np.prod(self.patch)).sum()) if self.patch else len(self.rows)

    def plan(self, seed: int, epoch: int, batch_size: int, steps: int | None) -> list[Tensor]:
        """Return the patch numbers of each batch; draws the image of each patch, by area, and the position in it."""
        steps = steps or max(1, len(self) // batch_size)
        number = steps * batch_size
        self.where = draws(seed, epoch, "patch", (number, 4)).double().numpy()
        # Systematic sampling visits every image in proportion to its area, with less noise than independent draws.
        points = (np.arange(number) + self.where[0, 3]) / number
        ends = np.cumsum(self.areas) / self.areas.sum()
        image = np.searchsorted(ends[:-1], points, side="right")
        self.image = image[draws(seed, epoch, "order", (number,)).argsort().numpy()]
        if self.foreground:
            u = draws(seed, epoch, "foreground", (number, 7)).double().numpy()
            # Spread evenly, so that each batch has the same fraction.
            forced = np.diff(np.floor(u[0, 6] + self.share * np.arange(number + 1))) > 0
            self.image[forced], where = self.foreground.draw(u[forced], self.patch)
            self.where[forced, : len(self.patch)] = where
        self.draw(seed, epoch, number)
        return list(torch.arange(number).split(batch_size))

    def draw(self, seed: int, epoch: int, number: int) -> None:
        """Draw the augmentation of each patch, and the numbers that determine its hidden pixels."""
        self.draws = {name: draws(seed, epoch, name, (number, DRAWS)) for name, _ in self.augment}
        self.hidden = draws(seed, epoch, "hidden", (number, 2)) if self.blind else None

    def load(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield augmented batches in order."""
        places = [(self.rows[self.image[index.numpy()]], self.where[index.numpy()]) for index in indices]
        for index, (rows, _), (x, y) in zip(indices, places, self.loader.load(places), strict=True):
            yield self._see(x, y, rows, index)

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return an augmented batch: x of shape (N, C, *patch), y as the target collates it."""
        return next(self.load([index]))

    def plain(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield whole images one by one, without augmentation; always with the same hidden pixels."""
        hidden = draws(0, 0, "hidden", (len(self.rows), 2)) if self.blind else None
        for place, row in enumerate(self.rows):
            x, y = self._see(to_tensor(self.dataset.x[row])[None], self.target.collate([self.dataset.y[row]]), [row])
            yield (x, y) if hidden is None else hide_pixels(x, hidden[place : place + 1])

    def _see(self, x: Tensor, y: Tensor, rows: Sequence[int], index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move a batch to the device, scale its intensities and augment it."""
        x, y = x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
        low, high = self.ranges[rows].unbind(1)
        x = normalise(x, low, high)
        if self.like_input:
            y = normalise(y, low, high)
        if index is not None:
            x, move = augmented(self.augment, x, self.draws, index)
            y = self.target.warp(y, move, x.shape[2:])
            if not self.target.mirrored:
                x = x * move.known(torch.ones_like(x[:, :1], dtype=torch.bool))
            if self.hidden is not None:
                x, y = hide_pixels(x, self.hidden[index])
        return x.contiguous(memory_format=LAST[x.ndim]), y


def hide_pixels(x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Hide pixels of a batch as draws (N, 2) determine; return it, and the values to predict, nan elsewhere."""
    return hide(x, uniform(u.to(x.device, non_blocking=True), [draws_for(x.shape[2:])]))


def preview(
    dataset: Dataset,
    sections: Sequence[Chosen],
    patch: Sequence[int] | None,
    n: int = 6,
    m: int = 7,
    seed: int = 1,
    foreground: float = 0.0,
    frame: Frame | None = None,
) -> tuple[np.ndarray, list[tuple[np.ndarray, ...]]]:
    """Return patches of the training split as the network sees them.

    Parameters
    ----------
    dataset, sections, patch, foreground, frame
        As for ``make``.
    n
        Number of patches; images are drawn in proportion to their area. Or number of whole images.
    m
        Number of augmented versions of each patch.
    seed
        Seed of the draws.

    Returns
    -------
    x, y
        Patches or images, of bags the first one, shape (n, 1 + m, C, *patch), about 0 to 1, and the targets of each,
        n lists of 1 + m; the first of each row is not augmented.
    """
    batches = make(dataset, dataset.rows("train"), torch.device("cpu"), sections, patch, 0, foreground, frame)
    (index,) = batches.plan(seed, 0, n, 1)
    augment, batches.augment = batches.augment, []
    versions = [batches.get(index)]
    batches.augment = augment
    for epoch in range(m):
        batches.draw(seed, epoch, len(batches) if frame else n)
        versions.append(batches.get(index))
    first = [seen[:, 0] if seen.ndim > 2 + dataset.facts.spatial_dims else seen for seen, _ in versions]
    x = torch.stack([one[:, : dataset.facts.in_channels] for one in first], dim=1).numpy()
    targets = [[y.numpy() for y in batches.target.split(target, len(x))] for _, target in versions]
    return x, list(zip(*targets, strict=True))


def make(
    dataset: Dataset,
    rows: np.ndarray,
    device: torch.device,
    sections: Sequence[Chosen] = (),
    patch: Sequence[int] | None = None,
    workers: int = 0,
    foreground: float = 0.0,
    frame: Frame | None = None,
    instances: int | None = None,
) -> Any:
    """Make the batches that suit the input and the target of a data set; for parameters see ``Recipe``.

    Raises
    ------
    InputError
        If augmentations or patch do not suit the data.
    """
    _check_suited(sections, dataset.input)
    recipe = Recipe(sections, patch, workers, foreground, frame, instances)
    return resolve(dataset.input.whole if frame else dataset.input.batches)(dataset, rows, device, recipe)


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
                f"set data.flank: {section.max}, or lower shift.max",
            )
