"""Reading of mask values as stored."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.io.image_files import Decoded, decode
from biocnn.io.stored_image import Grid

_MOST_COLORS = 16  # most colours of a mask that are treated as classes


class MaskFile(NamedTuple):
    """The values of a mask as stored, and what was repaired on reading.

    ``grid`` is its position in space; ``turn`` the orientation tag that was applied; ``opposed`` the displayed grey
    levels of its values if the lower of two is displayed brighter than the higher, else empty.
    """

    values: np.ndarray
    repairs: tuple[str, ...]
    grid: Grid
    turn: int = 1
    opposed: tuple[int, ...] = ()


def read_mask(path: str | Path, colors: bool = False, axes: str | None = None) -> np.ndarray:
    """Read a mask as stored.

    Parameters
    ----------
    path
        PNG, TIFF or another format that ``read_image`` reads. Palette images give their indices; 0 stays 0 even if it
        is displayed as white.
    colors
        Whether to read displayed colours (those of the palette; grey v is (v, v, v)).
    axes
        Order of the axes if the file does not state it, e.g. ZYX.

    Returns
    -------
    values
        Shape (*spatial), integers: grey values, or with ``colors`` the colour 65536 R + 256 G + B.

    Raises
    ------
    InputError
        If the mask has unexpected colours, fractions, or values beyond 32 bit.
    """
    return read_mask_file(path, colors, axes).values


def read_mask_file(path: str | Path, colors: bool = False, axes: str | None = None) -> MaskFile:
    """Read a mask like ``read_mask``, together with what was repaired."""
    path = Path(path)
    decoded = decode(path, axes=axes, indices=not colors)
    pixels, repairs = _without_alpha(decoded, path)
    values = _values(pixels, path, colors)
    opposed = () if colors else _opposed(decoded, values)
    return MaskFile(values, decoded.repairs + repairs, decoded.grid, decoded.turn, opposed)


def _opposed(decoded: Decoded, values: np.ndarray) -> tuple[int, ...]:
    found = np.unique(values).tolist()
    if len(found) > 2:
        return ()
    if decoded.inverted is not None:
        return tuple(int(decoded.inverted) - value for value in found)
    if decoded.palette is None:
        return ()
    shown = [decoded.palette[:3, value].tolist() for value in found]
    grey = all(len(set(color)) == 1 for color in shown)
    return tuple(color[0] for color in shown) if grey and shown[0] > shown[-1] else ()


def _values(pixels: np.ndarray, path: Path, colors: bool) -> np.ndarray:
    if pixels.dtype.kind == "f":
        if unknown := int(np.isnan(pixels).sum()):
            raise InputError(
                f"{path}: a mask with {plural(unknown, 'NaN value')}",
                "give unknown pixels a separate value, e.g. 255, and name it in data.ignore; or use 0 for background",
            )
        whole = np.isfinite(pixels) & (pixels == np.round(pixels))
        if not whole.all():
            raise InputError(
                f"{path}: a mask with {plural(int((~whole).sum()), 'value')} other than whole numbers, such as "
                f"{pixels[~whole][0]}",
                "allowed: whole numbers, 0/1, 0/255, classes or object ids; threshold it, or save it without "
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
        raise InputError(f"{path}: colours outside 0-255", "save the colour-coded mask with 8 bits per channel")
    if len(pixels) not in (1, 3):
        raise InputError(f"{path}: a mask of {len(pixels)} channels", "allowed with data.colors: RGB or grey")
    red, green, blue = np.broadcast_to(pixels, (3, *pixels.shape[1:])).astype(np.int32)
    return (red << 16) | (green << 8) | blue


def _without_alpha(decoded: Decoded, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the values without the alpha channel; or that channel if it alone varies."""
    if decoded.alpha is None:
        return decoded.pixels, ()
    alpha, rest = decoded.pixels[decoded.alpha], np.delete(decoded.pixels, decoded.alpha, axis=0)
    if alpha.min() == alpha.max():
        return rest, ("constant alpha channel of a mask dropped",)
    if all(plane.min() == plane.max() for plane in rest):
        return alpha[None], ("mask taken from its alpha channel, because its colour is constant",)
    if rest[:, alpha == 0].any():
        raise InputError(
            f"{path}: a mask with transparent pixels that are not black underneath",
            "flatten it onto black, and save it without transparency",
        )
    return rest, ("alpha channel of a mask dropped: transparent pixels are background",)


def _colored(pixels: np.ndarray, path: Path) -> InputError:
    if len(pixels) != 3:
        return InputError(f"{path}: a mask of {len(pixels)} channels", "save the mask as one grey channel")
    colors, counts = np.unique(pixels.reshape(3, -1), axis=1, return_counts=True)
    return ColoredMask(path, [colors[:, i].tolist() for i in np.lexsort((-counts, colors.any(axis=0)))])


class ColoredMask(InputError):
    """Coloured masks without a setting that explains the colours.

    Parameters
    ----------
    path
        File of one of them.
    colors
        Red, green, blue of each colour, background first.
    masks
        Number of such masks.
    """

    def __init__(self, path: Path, colors: list[list[int]], masks: int = 1) -> None:
        self.path, self.colors = path, colors
        what = f"{path}: a mask of 3 channels" if masks == 1 else f"{path}: {masks} masks of 3 channels"
        if len(colors) > _MOST_COLORS:
            super().__init__(
                f"{what}, {plural(len(colors), 'colour')}: {', '.join(map(str, colors[:6]))}, ...",
                "if each object has a colour, save ids instead; if there are few classes, it was smoothed or saved as "
                "JPEG: export it again as PNG, and give the colour of each class in data.colors",
            )
            return
        names = ["background", *(f"class{i}" for i in range(1, len(colors)))]
        written = ", ".join(f"{name}: {color}" for name, color in zip(names, colors, strict=True))
        super().__init__(
            f"{what}, {plural(len(colors), 'colour')}: {', '.join(map(str, colors))}",
            f"name the class of each colour, for example data.colors: {{{written}}}; or save the mask in greyscale",
        )


def of_one_kind(faults: list[InputError]) -> list[InputError]:
    """Merge the errors about coloured masks into one with the colours of all."""
    colored = [fault for fault in faults if isinstance(fault, ColoredMask)]
    if len(colored) < 2:
        return faults
    colors = {tuple(color): None for fault in colored for color in fault.colors}
    found = ColoredMask(colored[0].path, [list(color) for color in colors], len(colored))
    return [found, *(fault for fault in faults if not isinstance(fault, ColoredMask))]
