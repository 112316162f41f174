"""Pixels as stored in a file, with their axes: the common result of all format readers."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from biocnn.core.errors import InputError

Slices = tuple[slice, ...]
MILLIMETRES = {"um": 1e-3, "mm": 1.0}
RGB = ["red", "green", "blue"]
TURNED_BY_TAG = "rotated by the orientation tag"
_CANONICAL = "CZYX"
_DROPPED = "-"  # an axis of length one
# Limits on data unpacked at once from a much smaller file. Deflate reaches a ratio of 1,000, and so do honest masks,
# which are mostly background; anything larger is either a decompression bomb or useless as one image.
_MOST = 2**30  # bytes
_TIMES = 100
_SMALL = 2**26  # bytes; an honest file with too many pixels is larger
# The orientation tag of TIFF and EXIF: whether rows and columns are swapped, then whether Y and X are flipped.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


class Axes(NamedTuple):
    """A letter for each stored axis, C, Z, Y, X, or - for length one; and whether it was guessed from the shape."""

    letters: str
    guessed: bool = False


class Grid(NamedTuple):
    """Where the pixels of a file lie: shape (*spatial), and spacing, unit, affine and kind as in ``StoredImage``."""

    path: Path
    shape: tuple[int, ...]
    spacing: list[float] | None
    unit: str
    affine: np.ndarray | None
    kind: str


@dataclass(frozen=True)
class StoredImage:
    """An opened image file.

    Parameters
    ----------
    array
        Object with ``shape``, ``dtype`` and ``array[tuple of slices]``, which reads no more than that from disk if the
        format allows it.
    axes
        Order of the axes of ``array``.
    channels
        Names of the channels, or None if the file gives none.
    spacing
        Pixel size along each spatial axis, row-major, or None.
    unit
        Unit of the spacing: "um" or "mm".
    affine
        Position in the body, if the file states it: shape (3, n + 1), from the indices of the n spatial axes and 1 to
        LPS mm (towards the patient's left, back and head).
    alpha
        Index of the alpha channel, or None.
    palette
        Displayed colour of each stored value, shape (channels, n), or None.
    inverted
        If larger values are darker: the sum of the lowest and the highest storable value, from which values are
        subtracted for display; else None.
    turn
        Orientation tag, 1 to 8, applied to the stored pixels of images and masks.
    repairs
        Changes made when opening, without those for display.
    kind
        Format, for messages.
    close
        Closes the file.
    """

    array: Any
    axes: Axes
    channels: list[str] | None = None
    spacing: list[float] | None = None
    unit: str = "um"
    affine: np.ndarray | None = None
    alpha: int | None = None
    palette: np.ndarray | None = None
    inverted: float | None = None
    turn: int = 1
    repairs: tuple[str, ...] = ()
    kind: str = "image"
    close: Callable[[], None] = lambda: None

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, *spatial) of the stored pixels after rotation."""
        lengths = dict(zip(self.axes.letters, self.array.shape, strict=True))
        spatial = [lengths[letter] for letter in _spatial(self.axes.letters)]
        if swapped(self.turn):
            spatial[-2:] = spatial[:-3:-1]
        return (lengths.get("C", 1), *spatial)

    def grid(self, path: Path) -> Grid:
        """Return where the pixels lie."""
        return Grid(path, self.shape[1:], self.spacing, self.unit, self.affine, self.kind)

    @property
    def shown(self) -> tuple[str, ...]:
        """Changes made to the values for display."""
        mark = "MONOCHROME1" if self.kind == "DICOM" else "MINISWHITE"
        return (f"{mark} (0 = white) inverted to 0 = black",) if self.inverted is not None else ()

    def read(self, window: Slices, shown: bool = True) -> np.ndarray:
        """Read a window: shape (C, *window), in the data type and byte order of the file; bool as uint8.

        ``shown`` returns displayed values: colours of a palette, larger is brighter. Otherwise values are as stored,
        like the labels of a mask.
        """
        pixels = self._turned(window)
        if pixels.dtype == bool:
            pixels = pixels.astype(np.uint8)
        if not shown:
            return pixels
        if self.inverted is not None:
            grey = self.inverted - pixels.astype(np.float64)  # exact up to 32 bits
            if self.alpha is not None:
                grey[self.alpha] = pixels[self.alpha]
            pixels = grey.astype(pixels.dtype)
        return pixels if self.palette is None else self.palette[:, pixels[0]]

    def _turned(self, window: Slices) -> np.ndarray:
        """Read a window of the rotated image, as stored."""
        if self.turn == 1:
            return self._read(window)
        swap, *flips = _TURNS[self.turn]
        where = [
            slice(n - one.stop, n - one.start) if flip else one
            for one, n, flip in zip(window[-2:], self.shape[-2:], flips, strict=True)
        ]
        pixels = self._read((*window[:-2], *(where[::-1] if swap else where)))
        pixels = pixels.swapaxes(-1, -2) if swap else pixels
        return pixels[..., :: -1 if flips[0] else 1, :: -1 if flips[1] else 1]

    def _read(self, window: Slices) -> np.ndarray:
        letters = self.axes.letters
        wanted = dict(zip(_spatial(letters), window, strict=True))
        found = self.array[tuple(wanted.get(letter, slice(None)) for letter in letters)]
        order = [letters.index(letter) for letter in _CANONICAL if letter in letters]
        dropped = [i for i, letter in enumerate(letters) if letter == _DROPPED]
        pixels = np.transpose(found, (*dropped, *order)).reshape([found.shape[i] for i in order])
        return pixels if "C" in letters else pixels[None]


def swapped(turn: int) -> bool:
    """Return whether an orientation tag swaps rows and columns."""
    return _TURNS[turn][0]


def orientation(tag: object) -> int:
    """Return the orientation of a tag, 1 if it is invalid."""
    return tag if isinstance(tag, int) and tag in _TURNS else 1


def whole(shape: tuple[int, ...]) -> Slices:
    """Return the window of all pixels of an image of shape (C, *spatial)."""
    return tuple(slice(0, n) for n in shape[1:])


@contextmanager
def damaged(
    path: Path, kind: str, remedy: str = "copy it again, save it in another way, or leave it out"
) -> Iterator[None]:
    """Convert any exception of a decoder, from struct.error to those of codecs, to an InputError."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        if (size := _bytes(path)) < _SMALL:
            problem = f"damaged {kind}: {size:,} bytes that need more memory than available"
            raise InputError(f"{path}: {problem}", remedy) from error
        raise InputError(
            f"{path}: its pixels do not fit into memory",
            "cut the image into smaller ones, or use a machine with more memory",
        ) from error
    except Exception as error:
        raise InputError(f"{path}: damaged or unreadable {kind} ({error})", remedy) from error


def check_size(path: Path, shape: Iterable[int], dtype: np.dtype, stored: int | None = None) -> None:
    """Refuse decompression bombs before memory is allocated.

    Parameters
    ----------
    path
        File or folder.
    shape, dtype
        Shape and data type of the unpacked data.
    stored
        Number of bytes that they are unpacked from; by default those of the file.

    Raises
    ------
    InputError
        If the data exceed 1 GiB and 100 times the stored bytes.
    """
    shape = [int(n) for n in shape]
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= _MOST:
        return
    stored = _bytes(path) if stored is None else stored
    if size > _TIMES * stored:
        raise InputError(
            f"{path}: claims to hold {' x '.join(map(str, shape))} values, {size / 1e9:,.1f} GB in {stored:,} bytes: "
            "damaged, or a decompression bomb",
            f"files that unpack to more than {_MOST / 1e9:.1f} GB and {_TIMES} times their size are not read: cut it "
            "into smaller images, or save it without compression",
        )


def _bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file())


def settle_axes(found: str, shape: tuple[int, ...], given: str | None, path: Path) -> Axes:
    """Determine the meaning of each stored axis.

    Parameters
    ----------
    found
        A letter for each axis as stated by the file: C or S (channels), Z, Y, X, T (time), or any other if unknown.
    shape
        Lengths of the axes. Axes of length one other than Y and X are ignored.
    given
        Axes stated by the user, which take precedence: letters of C, Z, Y, X. Ignored for plain planes.
    path
        File, for messages.

    Raises
    ------
    InputError
        If there is a time axis, two channel axes, or axes of unknown meaning. Of three unknown axes, the first is taken
        for channels if its length is at most four, or the last if its length is three or four; this is reported.
    """
    found = found.replace("S", "C")
    kept = [i for i, (letter, n) in enumerate(zip(found, shape, strict=True)) if n > 1 or letter in "YX"]
    letters, lengths = "".join(found[i] for i in kept), tuple(shape[i] for i in kept)
    shown = f"axes {letters} of lengths {' x '.join(map(str, lengths))}"
    partial = set(letters) <= set(given or "") and len(set(letters)) == len(letters) < len(given or "")
    if given and len(kept) > 2 and not partial:  # a file that states fewer axes than data.axes is trusted
        if len(given) not in (len(kept), len(shape)):
            raise InputError(f"{path}: {shown}, but data.axes is {given!r}", f"name all {len(kept)} axes of the file")
        kept = kept if len(given) == len(kept) else list(range(len(shape)))
        letters = given
    if len(kept) == 2 and not set(letters) & set("TCZYX"):
        letters = "YX"  # a plane, regardless of axes of length one
    guessed = len(kept) == 3 and not set(letters) <= set("TCZYX")
    if guessed:
        letters = _guess(lengths, path)
    _check(letters, tuple(shape[i] for i in kept), shown, path)
    named = dict(zip(kept, letters, strict=True))
    every = [named.get(i, _DROPPED) for i in range(len(shape))]
    every = [_DROPPED if n == 1 and letter in "CZ" else letter for n, letter in zip(shape, every, strict=True)]
    return Axes("".join(every), guessed)


def _guess(lengths: tuple[int, ...], path: Path) -> str:
    first, last = lengths[0] <= 4, lengths[-1] in (3, 4)
    if first == last:
        raise InputError(
            f"{path}: three axes of lengths {' x '.join(map(str, lengths))}, and the file does not state their meaning",
            "set data.axes: ZYX (a volume), CYX (channels first) or YXC (channels last); save each time point as a "
            "separate file",
        )
    return "CYX" if first else "YXC"


def _check(letters: str, lengths: tuple[int, ...], shown: str, path: Path) -> None:
    unknown = [f"{letter} ({n})" for letter, n in zip(letters, lengths, strict=True) if letter not in _CANONICAL]
    if unknown:
        raise InputError(
            f"{path}: {shown}; allowed: planes and volumes with channels, not the axis {', '.join(unknown)}",
            "save each time point as a separate file, or, if that axis holds channels or z planes, set data.axes: CYX, "
            "ZYX or ZCYX",
        )
    if len(set(letters)) < len(letters) or not {"Y", "X"} <= set(letters):
        raise InputError(
            f"{path}: {shown}: allowed: Y and X, and C and Z at most once", "save colours and channels on one axis"
        )


def _spatial(letters: str) -> str:
    return "".join(letter for letter in "ZYX" if letter in letters)
