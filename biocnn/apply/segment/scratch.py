"""Temporary numbers for each pixel of an image, in memory or, for large images, on disk."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from biocnn.io.stored_image import Slices

IN_MEMORY = 2**24  # pixels up to which numbers are held in memory


class Scratch:
    """Numbers of shape (*spatial), int32, initially 0; a context manager that removes its file on exit.

    Parameters
    ----------
    shape
        Shape of the image, (*spatial).
    path
        File for large images; it is sparse, so zeros take no space on most file systems.
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
        """Return a copy of a window, whose slices may have steps."""
        return np.array(self._open("r")[window])

    def reduced(self, plane: int | None, size: Sequence[int]) -> np.ndarray:
        """Return the numbers of a plane, of a volume the one given, at the centres of (height, width) larger pixels."""
        array = self._open("r")
        whole = array if plane is None else array[plane]
        rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, whole.shape, strict=True))
        return np.array(whole[rows[:, None], columns])

    def fullest(self) -> int:
        """Return the plane of a volume with the most pixels that have a number; the middle one if none has."""
        array = self._open("r")
        full = [np.count_nonzero(plane) for plane in array]
        return int(np.argmax(full)) if any(full) else len(array) // 2

    def add(self, window: Slices, numbers: np.ndarray) -> int:
        """Write numbers above 0 where there is none yet; return how many pixels already had a number."""
        array = self._open("r+")[window]
        taken = array > 0
        np.copyto(array, numbers, where=~taken)
        return int(np.count_nonzero(taken & (numbers > 0)))

    def _open(self, mode: str) -> np.ndarray:
        # Mapped anew each time, because the pages of an open mapping count as memory of the process.
        return np.memmap(self._path, np.int32, mode, shape=self.shape) if self._array is None else self._array
