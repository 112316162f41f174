"""Images, with or without labels, in one .npz file in the layout of MedMNIST, read image by image."""

import math
import zipfile
from contextlib import ExitStack
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO
from weakref import finalize

import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from biocnn.core.errors import InputError
from biocnn.core.files import exists
from biocnn.io.arrays import read_header
from biocnn.io.lazy import LazyImage
from biocnn.io.stored_image import RGB, Slices, StoredImage, check_size, damaged, settle_axes

SPLITS = ("train", "val", "test")
_LAYOUT = "needed: train_images and train_labels, and the same for val and test if there are any (MedMNIST's layout)"
_FEW = 4  # most channels of an image whose axes are unknown


class NpzImages:
    """An .npz file with arrays of images, named images or *_images; objects are never loaded.

    Parameters
    ----------
    path
        The file.
    axes
        Order of the axes of one image, e.g. YXC. By default, of three or four axes a first or last one of up to 4 holds
        channels.

    Raises
    ------
    InputError
        If the file is damaged.
    """

    def __init__(self, path: Path, axes: str | None = None) -> None:
        self.path, self.axes = path, axes
        self._opened = ExitStack()
        finalize(self, self._opened.close)
        with damaged(path, "npz"):
            self._archive = self._opened.enter_context(zipfile.ZipFile(path))
            self.arrays = [Path(name).stem for name in self._archive.namelist()]

    @cached_property
    def images(self) -> "dict[str, _Array]":
        """The arrays of images by name."""
        named = {name: self._array(name) for name in self.arrays if name == "images" or name.endswith("_images")}
        return {name: array for name, array in named.items() if len(array.shape) > 2}

    @property
    def names(self) -> list[str]:
        """Return the names of all images: train_images[0] and so on."""
        return [f"{name}[{row}]" for name, array in self.images.items() for row in range(array.shape[0])]

    def open(self, name: str) -> LazyImage:
        """Open the image of this name."""
        return LazyImage(self.path / name, self.stored(name))

    def stored(self, name: str) -> StoredImage:
        """Return the image of this name as it is stored.

        Raises
        ------
        InputError
            If its axes could be in several orders.
        """
        key, _, row = name.removesuffix("]").partition("[")
        array, path = self.images[key], self.path / name
        shape = array.shape[1:]
        settled = settle_axes(_expected(shape, path) if self.axes is None else "?" * len(shape), shape, self.axes, path)
        colour = settled.letters.endswith("C") and shape[-1] == len(RGB)
        guessed = self.axes is None and {"C", "Z"} & set(settled.letters)
        repairs = (f"axes not stated in the file: assumed {settled.letters}",) if guessed else ()
        return StoredImage(
            _Example(array, int(row)), settled, channels=RGB if colour else None, repairs=repairs, kind="npz"
        )

    def _array(self, name: str) -> "_Array":
        with damaged(self.path, "npz"):
            handle = self._opened.enter_context(self._archive.open(f"{name}.npy"))
            return _Array(handle, self._archive.getinfo(f"{name}.npy").file_size, self.path / name)


class LabelledNpz(NpzImages):
    """An .npz file with the arrays {train, val, test}_images and {train, val, test}_labels; see ``NpzImages``.

    Raises
    ------
    InputError
        If the file is damaged, an array is missing or does not match its partner, or images have unknown axes.
    """

    def __init__(self, path: Path, axes: str | None = None) -> None:
        with open(path, "rb") as handle:
            single = handle.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX
        if single:
            raise InputError(f"{path}: a single array (.npy), not an .npz file", f"join arrays by np.savez; {_LAYOUT}")
        super().__init__(path, axes)
        names = self.arrays
        wanted = [f"{split}_{what}" for split in SPLITS for what in ("images", "labels")]
        self.splits = [split for split in SPLITS if {f"{split}_images", f"{split}_labels"} <= set(names)]
        alone = [name for name in names if name in wanted and name.split("_")[0] not in self.splits]
        if "train" not in self.splits or alone:
            problem = f"only one of {alone[0]} and its partner" if alone else f"arrays {', '.join(names[:8]) or 'none'}"
            raise InputError(f"{path}: {problem}", _LAYOUT)
        self.others = [name for name in names if name not in wanted]
        self.images = {f"{split}_images": self._array(f"{split}_images") for split in self.splits}
        for (name, array), split in zip(self.images.items(), self.splits, strict=True):
            labels = self._labels(split)
            if len(array.shape) < 3 or not len(labels) == array.shape[0] > 0:
                raise InputError(
                    f"{path}: {split}_images of shape {array.shape}, {split}_labels of shape {labels.shape}",
                    "needed: images (N, H, W), (N, H, W, 3) or (N, D, H, W), and labels (N, 1) for the same N > 0",
                )
            self.open(f"{name}[0]")  # refuses axes and types that would be wrong for each image of the array

    def labels(self) -> np.ndarray:
        """Return the labels of all images, in the order of ``names``: shape (N, K).

        Raises
        ------
        InputError
            If splits differ in K.
        """
        found = {split: self._labels(split) for split in self.splits}
        if len({array.shape[1:] for array in found.values()}) > 1:
            shapes = ", ".join(f"{split}_labels {array.shape}" for split, array in found.items())
            raise InputError(f"{self.path}: labels of different shapes: {shapes}", "save labels of one kind")
        return np.concatenate(list(found.values()))

    def _labels(self, split: str) -> np.ndarray:
        array = self._array(f"{split}_labels")
        if array.dtype.kind not in "biufU" or len(array.shape) not in (1, 2):
            raise InputError(
                f"{self.path}: {split}_labels of shape {array.shape} and type {array.dtype}",
                "needed: numbers of shape (N, 1), or (N, K) of 0 and 1",
            )
        return array.whole.reshape(len(array.whole), *(array.shape[1:] or (1,)))


@lru_cache(maxsize=4)
def _opened(path: Path, axes: str | None, changed: int) -> NpzImages:
    return NpzImages(path, axes)


def images_in(path: Path, axes: str | None = None) -> NpzImages:
    """Return the images of a file, which stays open for further calls."""
    return _opened(path, axes, path.stat().st_mtime_ns)


def in_archive(path: Path) -> bool:
    """Return whether a path names an image of an .npz file that exists, such as file.npz/test_images[0]."""
    if path.parent.suffix.lower() != ".npz" or not exists(path.parent):
        return False
    key, _, row = path.name.removesuffix("]").partition("[")
    array = images_in(path.parent).images.get(key)
    return array is not None and row.isdecimal() and int(row) < array.shape[0]


def _expected(shape: tuple[int, ...], path: Path) -> str:
    """Return the axes of an image by its shape."""
    if len(shape) == 2:
        return "YX"
    first, last = shape[0] <= _FEW, shape[-1] <= _FEW
    if len(shape) > 4 or (first and last) or (len(shape) == 4 and not first and not last):
        raise InputError(
            f"{path}: {len(shape)} axes of lengths {' x '.join(map(str, shape))}, whose order is unknown",
            "set data.axes, the order of the axes of one image: ZYX (a volume), YXC (channels last), CYX or ZYXC",
        )
    spatial = "YX" if len(shape) == 3 and (first or last) else "ZYX"
    return "C" * first + spatial + "C" * last


class _Array:
    """A stored array, read along its first axis, one row at a time if these are asked for in order."""

    def __init__(self, handle: IO[bytes], size: int, path: Path) -> None:
        self._handle, self._path = handle, path
        self.shape, self._fortran, self.dtype = read_header(handle)
        self._start = handle.tell()
        self._bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        if self.dtype.hasobject:
            raise InputError(f"{path}: an array of Python objects", "save an array of numbers")
        if not (self.shape and self._bytes) or self._start + self._bytes * self.shape[0] > size:
            raise InputError(f"{path}: damaged: an array of shape {self.shape} in {size} bytes", "copy the file again")

    def __getitem__(self, row: int) -> np.ndarray:
        place = self._start + row * self._bytes
        # Seeking backwards decompresses all rows before, so an array that is not read in order is kept in memory.
        if self._fortran or "whole" in vars(self) or (row > 0 and place < self._handle.tell()):
            return self.whole[row]
        self._handle.seek(place)
        return np.frombuffer(self._handle.read(self._bytes), self.dtype).reshape(self.shape[1:])

    @cached_property
    def whole(self) -> np.ndarray:
        """The array in memory."""
        check_size(self._path, self.shape, self.dtype)
        with damaged(self._path, "npz"):
            self._handle.seek(0)
            return np.lib.format.read_array(self._handle, allow_pickle=False)


class _Example:
    """One row of an array, read on demand."""

    def __init__(self, array: _Array, row: int) -> None:
        self._array, self._row, self.shape, self.dtype = array, row, array.shape[1:], array.dtype

    def __getitem__(self, window: Slices) -> np.ndarray:
        return self._array[self._row][window]
