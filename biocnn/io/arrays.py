"""Read NumPy arrays: .npy files window by window, and .npz files that hold one array."""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.stored_image import StoredImage, check_size, damaged, settle_axes
from biocnn.io.tiff_segments import MappedPixels


def open_array(path: Path, kind: str, *, axes: str | None = None) -> StoredImage:
    """Open a NumPy file that holds one plane or volume.

    Parameters
    ----------
    path
        An .npy or .npz file.
    kind
        "npy" or "npz".
    axes
        Order of the axes, e.g. "CYX" or "ZYX", which the file does not state; ignored for planes.

    Raises
    ------
    InputError
        If the file is damaged, holds objects or several arrays, or the order of its axes is unknown.
    """
    with damaged(path, kind):
        array = _mapped(path) if kind == "npy" else _only(path)
    if len(array.shape) < 2:
        raise InputError(f"{path}: an array of shape {array.shape}", "an image has at least two axes, Y and X")
    if 0 in array.shape:
        raise InputError(f"{path}: an array of shape {array.shape}, without pixels", "remove it, or export it again")
    found = "YX" if len(array.shape) == 2 else "?" * len(array.shape)
    settled = settle_axes(found, array.shape, axes, path)
    repairs = (f"axes not stated in the file: assumed {settled.letters}",) if settled.guessed else ()
    return StoredImage(array, settled, repairs=repairs, kind=kind)


def _mapped(path: Path) -> MappedPixels:
    with open(path, "rb") as handle:
        shape, fortran, dtype = read_header(handle)
        offset = handle.tell()
    if dtype.hasobject:
        raise InputError(f"{path}: an array of Python objects", "save the pixels as an array of numbers")
    size = offset + dtype.itemsize * math.prod(shape)
    if size > path.stat().st_size:
        raise InputError(
            f"{path}: damaged: its pixels should extend to byte {size}, but the file ends earlier", "copy it again"
        )
    return MappedPixels(str(path), dtype, shape, offset, fortran)


def _only(path: Path) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            raise InputError(
                f"{path}: holds {len(members)} arrays ({', '.join(Path(m.filename).stem for m in members[:6])})",
                "save one image per file",
            )
        with archive.open(members[0]) as handle:
            shape, _, dtype = read_header(handle)
    check_size(path, shape, dtype)
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[arrays.files[0]]


def read_header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return the shape, whether the order is Fortran, and the data type."""
    version = np.lib.format.read_magic(handle)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(handle)
