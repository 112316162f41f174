"""Pixels as they lie in a file, with the order of their axes: what every reader of one format hands on."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from biocnn.core.errors import InputError

Window = tuple[slice, ...]
MILLIMETRES = {"um": 1e-3, "mm": 1.0}
RGB = ["red", "green", "blue"]
TURNED_BY_TAG = "turned as the orientation tag says"
_CANONICAL = "CZYX"
_DROPPED = "-"  # an axis of length one
# What may be unpacked at once from a file that is many times smaller. Deflate reaches 1,000 times, and so do honest
# masks, which are mostly background; what is larger than this is either a trap or of no use as one image.
_MOST = 2**30  # bytes
_TIMES = 100
_SMALL = 2**26  # bytes of a file that an honest one of too many pixels is larger than
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
    """A letter for each stored axis: C, Z, Y, X, or - for an axis of length one; and whether the shape told them."""

    letters: str
    guessed: bool = False


class Grid(NamedTuple):
    """Where the pixels of a file lie: its sizes (*spatial), and of ``Stored`` spacing, unit, affine and kind."""

    path: Path
    shape: tuple[int, ...]
    spacing: list[float] | None
    unit: str
    affine: np.ndarray | None
    kind: str


@dataclass(frozen=True)
class Stored:
    """One opened file.

    Parameters
    ----------
    array
        Has ``shape``, ``dtype`` and ``array[tuple of slices]``, which reads no more than that from disk where the
        format allows.
    axes
        Order of the axes of ``array``.
    channels
        Names, or None where the file gives none.
    spacing
        One number a spatial axis, row-major, or None.
    unit
        Of the spacing: "um" or "mm".
    affine
        Where the file says so, where its pixels lie in a body: shape (3, n + 1), from indices of the n spatial axes,
        and 1, to mm towards the patient's left, back and head.
    alpha
        Index of a channel of transparency, or None.
    palette
        What each stored value is shown as, shape (channels, n), or None.
    inverted
        Where larger values are darker: the sum of the lowest and the highest that can be stored, in which each value is
        turned to be shown; else None.
    turn
        The orientation tag, 1 to 8: how the stored pixels are turned, for images and masks alike.
    repairs
        What was done to get here, but for what is done to show the values.
    kind
        Format, for messages.
    close
        Lets go of the file.
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
        """(C, *spatial) as they are stored, but turned."""
        lengths = dict(zip(self.axes.letters, self.array.shape, strict=True))
        spatial = [lengths[letter] for letter in _spatial(self.axes.letters)]
        if swapped(self.turn):
            spatial[-2:] = spatial[:-3:-1]
        return (lengths.get("C", 1), *spatial)

    def grid(self, path: Path) -> Grid:
        """Where the pixels lie."""
        return Grid(path, self.shape[1:], self.spacing, self.unit, self.affine, self.kind)

    @property
    def shown(self) -> tuple[str, ...]:
        """What is done to the values when they are shown."""
        mark = "MONOCHROME1" if self.kind == "DICOM" else "MINISWHITE"
        return (f"{mark} (0 = white) turned to 0 = black",) if self.inverted is not None else ()

    def read(self, window: Window, shown: bool = True) -> np.ndarray:
        """Shape (C, *window), in the data type and byte order of the file; bool as uint8.

        ``shown`` gives what the values are shown as: colours of a palette, larger is brighter. Without it they are as
        stored, as the labels of a mask are.
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

    def _turned(self, window: Window) -> np.ndarray:
        """A window of the turned image, as stored."""
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

    def _read(self, window: Window) -> np.ndarray:
        letters = self.axes.letters
        wanted = dict(zip(_spatial(letters), window, strict=True))
        found = self.array[tuple(wanted.get(letter, slice(None)) for letter in letters)]
        order = [letters.index(letter) for letter in _CANONICAL if letter in letters]
        dropped = [i for i, letter in enumerate(letters) if letter == _DROPPED]
        pixels = np.transpose(found, (*dropped, *order)).reshape([found.shape[i] for i in order])
        return pixels if "C" in letters else pixels[None]


def swapped(turn: int) -> bool:
    """Whether an orientation tag says that rows and columns are swapped."""
    return _TURNS[turn][0]


def orientation(tag: object) -> int:
    """The orientation that a tag says, 1 where it says none of those there are."""
    return tag if isinstance(tag, int) and tag in _TURNS else 1


def whole(shape: tuple[int, ...]) -> Window:
    """The window of all pixels of an image of shape (C, *spatial)."""
    return tuple(slice(0, n) for n in shape[1:])


@contextmanager
def damaged(
    path: Path, kind: str, remedy: str = "copy it again, save it in another way, or leave it out"
) -> Iterator[None]:
    """Turn what a decoder raises, anything from struct.error to a codec's own error, into a refusal of the file."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        if (size := _bytes(path)) < _SMALL:
            said = f"damaged {kind}: {size:,} bytes that ask for more memory than there is"
            raise InputError(f"{path}: {said}", remedy) from error
        raise InputError(
            f"{path}: its pixels do not fit into the memory that there is",
            "cut the image into smaller ones, or use a machine with more memory",
        ) from error
    except Exception as error:
        raise InputError(f"{path}: damaged or unreadable {kind} ({error})", remedy) from error


def check_size(path: Path, shape: Iterable[int], dtype: np.dtype, stored: int | None = None) -> None:
    """Refuse what fills the memory, before it is taken.

    Parameters
    ----------
    path
        File or folder.
    shape, dtype
        Of what is unpacked at once.
    stored
        Bytes that it is unpacked from; by default those of the file.

    Raises
    ------
    InputError
        Where that is more than a gigabyte, and more than 100 times what it is unpacked from.
    """
    shape = [int(n) for n in shape]
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= _MOST:
        return
    stored = _bytes(path) if stored is None else stored
    if size > _TIMES * stored:
        raise InputError(
            f"{path}: says that it holds {' x '.join(map(str, shape))} values, {size / 1e9:,.1f} GB in {stored:,} "
            "bytes: damaged, or made to fill the memory",
            f"what is unpacked to more than {_MOST / 1e9:.1f} GB and {_TIMES} times its size is not read: cut it into "
            "smaller images, or save it without compression",
        )


def _bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file())


def settle_axes(found: str, shape: tuple[int, ...], given: str | None, path: Path) -> Axes:
    """Say what each stored axis is, or why that cannot be told.

    Parameters
    ----------
    found
        A letter for each axis, as the file says: C or S (channels), Z, Y, X, T (time), or any other for unknown.
    shape
        Lengths of the axes. Axes of length one other than Y and X are passed over.
    given
        The user's word, which goes before that of the file: letters of C, Z, Y, X. Plain planes ignore it.
    path
        File, for messages.

    Raises
    ------
    InputError
        Where there is a time axis, two axes of channels, or axes that only a guess could tell; three axes without a
        word, of which the first has at most four or the last three or four, are taken for channels, and said to be.
    """
    found = found.replace("S", "C")
    kept = [i for i, (letter, n) in enumerate(zip(found, shape, strict=True)) if n > 1 or letter in "YX"]
    letters, lengths = "".join(found[i] for i in kept), tuple(shape[i] for i in kept)
    shown = f"axes {letters} of lengths {' x '.join(map(str, lengths))}"
    told = set(letters) <= set(given or "") and len(set(letters)) == len(letters) < len(given or "")
    if given and len(kept) > 2 and not told:  # a file that names fewer axes than data.axes is taken at its word
        if len(given) not in (len(kept), len(shape)):
            raise InputError(f"{path}: {shown}, but data.axes is {given!r}", f"name all {len(kept)} axes of the file")
        kept = kept if len(given) == len(kept) else list(range(len(shape)))
        letters = given
    if len(kept) == 2 and not set(letters) & set("TCZYX"):
        letters = "YX"  # a plane, whatever axes of length one it has
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
            f"{path}: three axes of lengths {' x '.join(map(str, lengths))} and no word in the file of which is which",
            "set data.axes: ZYX (a volume), CYX (channels first) or YXC (channels last); time points: save each as a "
            "file of its own",
        )
    return "CYX" if first else "YXC"


def _check(letters: str, lengths: tuple[int, ...], shown: str, path: Path) -> None:
    unknown = [f"{letter} ({n})" for letter, n in zip(letters, lengths, strict=True) if letter not in _CANONICAL]
    if unknown:
        raise InputError(
            f"{path}: {shown}; planes and volumes with channels can be used, not the axis {', '.join(unknown)}",
            "save each time point as a file of its own, or, where that axis holds channels or z planes, say so in "
            "data.axes: CYX, ZYX or ZCYX",
        )
    if len(set(letters)) < len(letters) or not {"Y", "X"} <= set(letters):
        raise InputError(f"{path}: {shown}: each of C, Z, Y, X at most once", "save colours and channels on one axis")


def _spatial(letters: str) -> str:
    return "".join(letter for letter in "ZYX" if letter in letters)
