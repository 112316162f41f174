"""Masks, labels and images as OME-TIFF: small ones in one piece, large ones tiled and with a pyramid."""

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from biocnn.io.resampling import Read
from biocnn.io.stored_image import RGB

TILE = 512
LARGE = 2**24  # pixels above which an image is written in tiles
SMALLEST = 1024  # width and height at which the pyramid ends


def write_image(
    folder: Path,
    name: str,
    read: Read,
    shape: tuple[int, ...],
    dtype: np.dtype,
    spacing: Sequence[float] | None,
    unit: str,
    channels: Sequence[str] = (),
) -> Path:
    """Write masks, labels or images, a tile at a time where they are large.

    Parameters
    ----------
    folder, name
        The file is ``name.tif``, or ``name.ome.tif`` with tiles and a pyramid; both hold axes and pixel size as
        metadata.
    read
        Maps a window, whose slices may have steps, to its values.
    shape
        Shape of the image, (*spatial); with ``channels``, (C, *spatial).
    dtype
        Type of the values.
    spacing, unit
        Pixel size along each spatial axis, if known.
    channels
        Names of the channels.
    """
    import tifffile

    metadata = _metadata(name, shape, spacing, unit, channels)
    rgb = list(channels) == RGB and len(shape) == 3
    colours = {"photometric": "rgb", "planarconfig": "separate"} if rgb else {"photometric": "minisblack"}

    folder.mkdir(exist_ok=True)
    if prod(shape) <= LARGE:
        path = folder / f"{name}.tif"
        tifffile.imwrite(
            path, read(tuple(slice(0, n, 1) for n in shape)), ome=True, compression="zlib", metadata=metadata,
            **colours, **resolution(spacing, unit),
        )  # fmt: skip
        return path
    path, levels = folder / f"{name}.ome.tif", _levels(shape)
    with tifffile.TiffWriter(path, bigtiff=prod(shape) * np.dtype(dtype).itemsize > 2**31, ome=True) as tiff:
        for level in range(levels + 1):
            step = 2**level
            size = (*shape[:-2], *(-(-n // step) for n in shape[-2:]))
            full = {"subifds": levels, "metadata": metadata, **resolution(spacing, unit)}
            tiff.write(
                _tiles(read, shape, step), shape=size, dtype=dtype, tile=(TILE, TILE), compression="zlib",
                **colours, **({"subfiletype": 1} if level else full),
            )  # fmt: skip
    return path


def _levels(shape: tuple[int, ...]) -> int:
    """Return the number of smaller copies, each half as wide as the previous one."""
    return max(0, int(np.ceil(np.log2(max(shape[-2:]) / SMALLEST))))


def _tiles(read: Read, shape: tuple[int, ...], step: int) -> Iterator[np.ndarray]:
    """Yield tiles of every step-th row and column, plane by plane, so that copies hold only values of the image."""
    starts = [range(0, n, TILE * step) for n in shape[-2:]]
    for plane in product(*(range(n) for n in shape[:-2])):
        for corner in product(*starts):
            window = tuple(slice(a, min(a + TILE * step, n), step) for a, n in zip(corner, shape[-2:], strict=True))
            tile = read((*(slice(i, i + 1, 1) for i in plane), *window))
            tile = tile.reshape(tile.shape[-2:])
            yield np.pad(tile, [(0, TILE - n) for n in tile.shape])


def resolution(spacing: Sequence[float] | None, unit: str) -> dict[str, object]:
    """Return pixels per centimetre as standard TIFF tags; nothing if the pixel size is unknown."""
    if not spacing:
        return {}
    per_cm = {"um": 1e4, "mm": 10.0}[unit]
    return {"resolution": (per_cm / spacing[-1], per_cm / spacing[-2]), "resolutionunit": "CENTIMETER"}


def _metadata(
    name: str, shape: tuple[int, ...], spacing: Sequence[float] | None, unit: str, channels: Sequence[str]
) -> dict[str, object]:
    """Return axes, pixel size and names of channels as named in OME-XML."""
    axes = "ZYX"[-len(shape) + bool(channels) :]
    # The default UUID is random, and would make files with equal content differ.
    found: dict[str, object] = {"axes": axes, "UUID": str(uuid5(NAMESPACE_OID, f"{name} {shape}"))}
    if channels:
        found |= {"axes": f"C{axes}", "Channel": {"Name": list(channels)}}
    for axis, size in zip(axes, spacing or (), strict=False):
        found |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": {"um": "µm"}.get(unit, unit)}
    return found
