"""Arrays of different shapes in one memory-mapped file."""

import mmap
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from biocnn.core.errors import InputError

REMEDY = "delete the folder and run the workflow again to recreate it"
MAPPED = 2**26  # bytes read from a file until its pages are given up


class Ragged:
    """A read-only list of arrays: ``name.npy`` holds the concatenated values, ``name.shapes.npy`` the shapes.

    Parameters
    ----------
    path
        The ``.npy`` file with the values.

    Raises
    ------
    InputError
        If one of the two files is missing or damaged, or they do not match.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path = Path(path)
        self.values, self.shapes = _load(path, mmap_mode="r"), _load(path.with_suffix(".shapes.npy"))
        arrays = self.values.ndim == 1 and self.shapes.ndim == 2 and self.shapes.dtype == np.int64
        if not arrays or (self.shapes < 0).any():
            raise InputError(f"{path}: damaged (invalid values or shapes)", REMEDY)
        number = self.shapes.prod(
            axis=1, dtype=np.float64
        ).sum()  # float64, because products of damaged shapes could overflow
        if number != len(self.values):
            raise InputError(
                f"{path}: damaged ({len(self.values):,} values, but {number:,.0f} according to the shapes)", REMEDY
            )
        self.offsets = np.concatenate([[0], np.cumsum(self.shapes.prod(axis=1))])
        self.read = 0

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        array = self.values[self.offsets[index] : self.offsets[index + 1]].reshape(self.shapes[index])
        self._count(array)
        return array

    def stacked(self, rows: np.ndarray) -> np.ndarray:
        """Stack arrays of equal shape into a copy of shape (N, *shape).

        Raises
        ------
        ValueError
            If their shapes differ.
        """
        if (self.shapes == self.shapes[0]).all():
            arrays = self.values.reshape(len(self), *self.shapes[0])[rows]
            self._count(arrays)
            return arrays
        return np.stack([self[row] for row in rows])

    def _count(self, array: np.ndarray) -> None:
        """Give up the pages of the file at times, so that this process does not seem to need memory for all of it.

        The system holds them in its cache as long as it has room, and arrays returned before remain valid.
        """
        self.read += array.nbytes
        if self.read > MAPPED and isinstance(self.values.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self.values.base.madvise(mmap.MADV_DONTNEED)
            self.read = 0

    def __reduce__(self) -> tuple[type["Ragged"], tuple[Path]]:
        """Pickle the path only: loader processes open the file themselves."""
        return Ragged, (self.path,)

    @staticmethod
    def write(path: str | Path, arrays: Iterable[np.ndarray], dtype: DTypeLike) -> None:
        """Write arrays, holding one at a time in memory; all must have the same number of axes."""
        path, shapes, total = Path(path), [], 0
        with open(path, "wb") as handle:
            # The total length is known only at the end, so a header of fixed size is written first and updated last.
            np.lib.format.write_array_header_2_0(handle, _header(dtype, 10**15))
            size = handle.tell()
            for array in arrays:
                shapes.append(array.shape)
                total += array.size
                handle.write(np.ascontiguousarray(array, dtype).tobytes())
            handle.seek(0)
            np.lib.format.write_array_header_2_0(handle, _header(dtype, total))
            if handle.tell() != size:
                raise RuntimeError("the .npy header changed its size")
        np.save(path.with_suffix(".shapes.npy"), np.asarray(shapes, dtype=np.int64))


def link(path: Path, other: Path) -> None:
    """Give the same arrays another name; they take no more room where the file system allows that."""
    for one, two in ((path, other), (path.with_suffix(".shapes.npy"), other.with_suffix(".shapes.npy"))):
        try:
            os.link(one, two)
        except OSError:
            shutil.copyfile(one, two)


def _load(path: Path, **how: Any) -> np.ndarray:
    """Load an array of plain values, never of Python objects."""
    try:
        return np.load(path, allow_pickle=False, **how)
    except (OSError, ValueError, SyntaxError, OverflowError, MemoryError, TokenError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})", REMEDY) from error


def _header(dtype: DTypeLike, length: int) -> dict[str, Any]:
    return {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (length,)}
