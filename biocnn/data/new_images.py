"""New images, without masks, brought to the channels of a model: read whole, or opened to be read by windows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from biocnn.data.image_files import read_image
from biocnn.data.image_paths import image_paths, unique_ids
from biocnn.data.image_sets import conform
from biocnn.data.kinds import exists
from biocnn.data.lazy import LazyImage, open_image

Paths = Path | str | list[Path | str]


def read_images(
    paths: Paths, channels: list[str] | None = None, axes: str | None = None
) -> Iterator[tuple[str, np.ndarray, list[float] | None]]:
    """Read new images, without masks, one at a time.

    Parameters
    ----------
    paths
        A folder, a file, or a list of these. A folder with the slices of one DICOM series is one image.
    channels
        Channels to bring each image to, those a model was trained on say; without it all are kept.
    axes
        Order of the axes of files that do not tell.

    Yields
    ------
    name
        File stem, made unique.
    pixels
        Shape (C, *spatial), in the data type of the file.
    spacing
        One number a spatial axis, in the unit of the file, or None.

    Raises
    ------
    InputError
        Where there is no image, or one cannot be read or has other channels.
    """
    for name, path in named_images(paths):
        image = read_image(path, axes)
        yield name, image.pixels if channels is None else conform(image, [channels], path), image.spacing


def open_images(
    paths: Paths, channels: list[str] | None = None, axes: str | None = None
) -> Iterator[tuple[str, LazyImage]]:
    """As ``read_images``, but each image is only opened, and closed when the next one is asked for.

    Yields
    ------
    name
        File stem, made unique.
    image
        Open, with the channels asked for.
    """
    for name, path in named_images(paths):
        with open_image(path, axes) as image:
            if channels is not None:
                image.choose(channels)
            yield name, image


def named_images(paths: Paths) -> list[tuple[str, Path]]:
    """Name and path of each image, in order.

    Raises
    ------
    InputError
        Where a folder holds no image.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    found = [image for path in given for image in (image_paths(path) if exists(path) and path.is_dir() else [path])]
    return list(zip(unique_ids([str(path) for path in found]), found, strict=True))
