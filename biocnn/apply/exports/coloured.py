"""Masks and labels as pictures with a palette: viewers show them in colours, and programs read the same values."""

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from pathlib import Path

import numpy as np

GOLDEN = 0.618034  # of the circle of hues: successive labels differ much
MOST = 2**16 - 1  # objects


def write_coloured(path: Path, labels: np.ndarray, spacing: Sequence[float] | None, unit: str) -> bool:
    """Write labels as a TIFF with a palette, black for 0.

    Up to 255 objects have 8 bits, which all viewers show in colours; more have 16 bits, in which few viewers, for
    example Bio-Formats, know palettes.

    Parameters
    ----------
    path
        TIFF file.
    labels
        Shape (*spatial), integers from 0.
    spacing, unit
        Pixel size along each axis, if known.

    Returns
    -------
    written
        False if there are more than 65,535 objects, for which no palette is large enough.
    """
    import tifffile

    from biocnn.apply.segment.pyramid import resolution

    most = int(labels.max(initial=0))
    if most > MOST:
        return False
    bits = 8 if most < 2**8 else 16
    colours = np.zeros((2**bits, 3))
    for number in range(1, len(colours)):
        colours[number] = hsv_to_rgb(number * GOLDEN % 1, (0.65, 0.95, 0.8)[number % 3], (1, 0.85, 0.95)[number % 3])
    palette = (colours.T * 65535).round().astype(np.uint16)
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(
        path, labels.astype(f"uint{bits}"), photometric="palette", colormap=palette, compression="zlib",
        metadata=None, software=False, **resolution(spacing, unit),
    )  # fmt: skip
    return True
