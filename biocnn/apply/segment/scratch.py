"""A number for each pixel of an image while it is worked on: in memory, or on disk where there are many."""

from math import prod
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from biocnn.prediction.tiles import Slices

IN_MEMORY = 2**24  # pixels up to which numbers are held in memory


class Scratch:
    """Numbers of shape (*spatial), int32, all 0 at first; a context manager, which removes the file it made.

    Parameters
    ----------
    shape
        (*spatial).
    path
        File to make where the image is large; holes in it, where there is nothing but 0, take no room on most disks.
    """

    def __init__(self, shape: tuple[int, ...], path: Path) -> None:
        self.shape, self._path = shape, path
        self._array = np.zeros(shape, np.int32) if prod(shape) <= IN_MEMORY else None

    def __enter__(self) -> Self:
        if self._array is None:
            with open(self._path, "wb") as file:
                file.truncate(prod(self.shape) * 4)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._array is None:
            self._path.unlink()

    def read(self, window: Slices) -> np.ndarray:
        """A copy of a window; its slices may have steps."""
        return np.array(self._open("r")[window])

    def add(self, window: Slices, numbers: np.ndarray) -> int:
        """Write numbers where they are above 0 and nothing stands yet; how many of them found another there."""
        array = self._open("r+")[window]
        taken = array > 0
        np.copyto(array, numbers, where=~taken)
        return int(np.count_nonzero(taken & (numbers > 0)))

    def _open(self, mode: str) -> np.ndarray:
        # Mapped anew each time: pages of a mapping count as the process's memory until it is closed.
        return np.memmap(self._path, np.int32, mode, shape=self.shape) if self._array is None else self._array
