"""NumPy arrays on disk: .npy, read by windows, and .npz of one array."""

from pathlib import Path

import numpy as np

from biocnn.data.stored import Stored, damaged, settle_axes
from biocnn.data.tiff_segments import MappedPixels
from biocnn.errors import InputError


def open_array(path: Path, kind: str, *, axes: str | None = None, indices: bool = False) -> Stored:
    """Open an array of one plane or volume.

    Parameters
    ----------
    path
        An .npy or .npz file.
    kind
        "npy" or "npz".
    axes
        Order of the axes, "CYX" or "ZYX" say: the file does not tell. Planes ignore it.
    indices
        Read for its whole numbers, as a mask: these are brought to the smallest type that holds them, because the type
        of an array says nothing of its use.

    Raises
    ------
    InputError
        Where the file is damaged, holds objects or several arrays, or its axes cannot be told.
    """
    with damaged(path, kind):
        array = _mapped(path) if kind == "npy" else _only(path)
        if indices:
            array = narrowed(array[tuple(slice(None) for _ in array.shape)])
    if len(array.shape) < 2:
        raise InputError(f"{path}: an array of {len(array.shape)} axes", "an image has at least two: Y and X")
    found = "YX" if len(array.shape) == 2 else "?" * len(array.shape)
    settled = settle_axes(found, array.shape, axes, path)
    repairs = (f"axes not given in the file: taken as {settled.letters}",) if settled.guessed else ()
    return Stored(array, settled, repairs=repairs, kind=kind)


def narrowed(values: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest unsigned type that holds them (signed where some are negative), else unchanged."""
    if values.dtype.kind not in "iuf" or not values.size:
        return values
    low, high = values.min(), values.max()
    if not (np.isfinite([low, high]).all() and (values.dtype.kind != "f" or (values == np.round(values)).all())):
        return values
    types = (np.uint8, np.uint16, np.uint32) if low >= 0 else (np.int8, np.int16, np.int32)
    fits = (t for t in types if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return values.astype(next(fits, values.dtype), copy=False)


def _mapped(path: Path) -> MappedPixels:
    with open(path, "rb") as handle:
        version = np.lib.format.read_magic(handle)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(handle)
        offset = handle.tell()
    if dtype.hasobject:
        raise InputError(f"{path}: an array of Python objects", "save the pixels as an array of numbers")
    size = offset + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if size > path.stat().st_size:
        raise InputError(f"{path}: damaged: its pixels reach byte {size}, but it ends before", "copy it again")
    return MappedPixels(str(path), dtype, shape, offset, fortran)


def _only(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        if len(arrays.files) != 1:
            raise InputError(
                f"{path}: holds {len(arrays.files)} arrays ({', '.join(arrays.files[:6])})", "save one image a file"
            )
        return arrays[arrays.files[0]]
