"""The values of masks, as they are stored."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from biocnn.data.image_files import Decoded, decode
from biocnn.errors import InputError

_MOST_COLORS = 16  # of a mask whose colours are taken for classes


class MaskFile(NamedTuple):
    """A mask as it is stored, and what was changed to read it so."""

    values: np.ndarray
    repairs: tuple[str, ...]


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
    return read_mask_file(path, colors, axes).values


def read_mask_file(path: str | Path, colors: bool = False, axes: str | None = None) -> MaskFile:
    """Likewise, with what was done to get there."""
    path = Path(path)
    pixels, repairs = _without_alpha(decode(path, axes=axes, indices=not colors), path)
    return MaskFile(_values(pixels, path, colors), repairs)


def _values(pixels: np.ndarray, path: Path, colors: bool) -> np.ndarray:
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
        raise _colored(pixels, path)
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


def _without_alpha(decoded: Decoded, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """The values without a channel of transparency; that channel itself, where it alone says anything."""
    if decoded.alpha is None:
        return decoded.pixels, ()
    alpha, rest = decoded.pixels[decoded.alpha], np.delete(decoded.pixels, decoded.alpha, axis=0)
    if alpha.min() == alpha.max():
        return rest, ("constant alpha channel of a mask dropped",)
    if all(plane.min() == plane.max() for plane in rest):
        return alpha[None], ("mask taken from its alpha channel, as its colour is the same everywhere",)
    if rest[:, alpha == 0].any():
        raise InputError(
            f"{path}: a mask with transparent pixels that are not black below",
            "flatten it onto black, and save it without transparency",
        )
    return rest, ("alpha channel of a mask dropped: all that is transparent is background",)


def _colored(pixels: np.ndarray, path: Path) -> InputError:
    if len(pixels) != 3:
        return InputError(f"{path}: a mask of {len(pixels)} channels", "save the mask as one grey channel")
    colors, counts = np.unique(pixels.reshape(3, -1), axis=1, return_counts=True)
    most = [colors[:, i].tolist() for i in np.lexsort((-counts, colors.any(axis=0)))]
    if len(most) > _MOST_COLORS:
        return InputError(
            f"{path}: a mask of 3 channels, {len(most)} colours: {', '.join(map(str, most[:6]))}, ...",
            "one colour an object? save ids instead. Few classes? then it was smoothed or saved as JPEG: export it "
            "again as PNG, and give the colour of each class in data.colors",
        )
    names = ["background", *(f"class{i}" for i in range(1, len(most)))]
    written = ", ".join(f"{name}: {color}" for name, color in zip(names, most, strict=True))
    return InputError(
        f"{path}: a mask of 3 channels, {len(most)} colours: {', '.join(map(str, most))}",
        f"name the class of each colour, as in data.colors: {{{written}}}; or save the mask as one grey channel",
    )
