"""The values of masks, as they are stored."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from biocnn.data.image_files import decode
from biocnn.errors import InputError

_MOST_VALUES = 65536  # distinct values remembered; labels beyond it count, but are not listed


def read_mask(path: str | Path, colors: bool = False, axes: str | None = None) -> np.ndarray:
    """Read a mask as it is stored.

    Parameters
    ----------
    path
        PNG, TIFF or another file that ``read_image`` reads. A palette gives its indices.
    colors
        Read colours (a palette gives its colours, grey v counts as (v, v, v)).
    axes
        Order of the axes where the file does not tell, ZYX say.

    Returns
    -------
    values
        Shape (*spatial), integers: grey values, or with ``colors`` the colour 65536 R + 256 G + B.

    Raises
    ------
    InputError
        Where the mask has colours and none are expected, fractions, or values beyond 32 bit.
    """
    path = Path(path)
    decoded = decode(path, axes=axes, indices=not colors)
    pixels = decoded.pixels if decoded.alpha is None else np.delete(decoded.pixels, decoded.alpha, axis=0)
    if pixels.dtype.kind == "f":
        whole = np.isfinite(pixels) & (pixels == np.round(pixels))
        if not whole.all():
            raise InputError(
                f"{path}: a mask with {int((~whole).sum())} values that are not whole, such as {pixels[~whole][0]}",
                "allowed: whole numbers, 0/1, 0/255, classes or object ids; threshold it, or save it again without "
                "interpolation",
            )
        pixels = pixels.astype(np.int64)
    if colors:
        return _pack(pixels, path)
    if len(pixels) == 3 and (pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all():
        pixels = pixels[:1]
    if len(pixels) != 1:
        raise InputError(
            f"{path}: a mask of {len(pixels)} channels" + (f", {_some_colors(pixels)}" if len(pixels) == 3 else ""),
            "give the colour of each class in data.colors, {background: [0, 0, 0], nucleus: [255, 0, 0]} say, "
            "or save the mask as one grey channel",
        )
    if pixels.max(initial=0) > np.iinfo(np.int32).max:
        raise InputError(f"{path}: mask values up to {pixels.max()}", "allowed: below 2147483648; relabel the objects")
    return pixels[0]


def _pack(pixels: np.ndarray, path: Path) -> np.ndarray:
    if pixels.min(initial=0) < 0 or pixels.max(initial=0) > 255:
        raise InputError(f"{path}: colours beyond 0-255", "save the colour-coded mask with 8 bits a channel")
    if len(pixels) not in (1, 3):
        raise InputError(f"{path}: a mask of {len(pixels)} channels", "allowed with data.colors: RGB or grey")
    red, green, blue = np.broadcast_to(pixels, (3, *pixels.shape[1:])).astype(np.int32)
    return (red << 16) | (green << 8) | blue


def _some_colors(pixels: np.ndarray) -> str:
    colors, counts = np.unique(pixels.reshape(3, -1), axis=1, return_counts=True)
    most = np.argsort(-counts)[:6]
    return f"{len(counts)} colours: " + ", ".join(str(colors[:, i].tolist()) for i in most)


@dataclass
class Survey:
    """The values of all masks, gathered one mask at a time."""

    first: dict[int, Path] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    bits: int = 8
    masks: int = 0
    ids: int = 0
    pieces: int = 0
    torn: int = 0
    largest: set[int] = field(default_factory=set)

    def add(self, values: np.ndarray, path: Path, ignore: int | None = None) -> set[int]:
        """Take note of one mask as ``read_mask`` gives it, and say which values it has."""
        found, counts = np.unique(values, return_counts=True)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            if value in self.counts or len(self.counts) < _MOST_VALUES:
                self.counts[value] = self.counts.get(value, 0) + count
                self.first.setdefault(value, path)
        ids = [v for v in found.tolist() if v not in (0, ignore)]
        self.masks += 1
        self.bits = max(self.bits, 8 * values.dtype.itemsize)
        self.largest.add(max(ids, default=0))
        if len(ids) > 1:  # a mask of one value says nothing of whether values are objects
            pieces, torn = _pieces(values, ignore)
            self.ids, self.pieces, self.torn = self.ids + len(ids), self.pieces + pieces, self.torn + torn
        return set(found.tolist())


def _pieces(values: np.ndarray, ignore: int | None) -> tuple[int, int]:
    """Number of connected pieces of equal values, and of values that come in more than one piece."""
    from skimage.measure import label

    values = np.where(values == ignore, 0, values) if ignore is not None else values
    pieces, n = label(values, background=0, connectivity=2, return_num=True)
    owner = np.zeros(n + 1, dtype=np.int64)
    owner[pieces] = values
    return n, int((np.unique(owner[1:], return_counts=True)[1] > 1).sum())
