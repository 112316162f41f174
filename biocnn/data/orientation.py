"""Volumes of a body: the same order of axes, whichever way the scanner or a tool stored them."""

from pathlib import Path

import numpy as np

from biocnn.errors import InputError

TURNED = "volume turned to feet-head, front-back, right-left order"
_NATURAL = ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0))


def canonical(array: np.ndarray, affine: np.ndarray, path: Path) -> tuple[np.ndarray, list[float], bool]:
    """Bring a volume to (D, H, W) = from feet to head, from front to back, from the patient's right to left.

    That is how axial slices are shown and how DICOM counts. Axes are swapped and flipped, never resampled: of an
    oblique volume the nearest axes count.

    Parameters
    ----------
    array
        Three spatial axes, then any others.
    affine
        Shape (4, 4): from indices of the three axes to mm towards the patient's left, back and head.
    path
        File, for messages.

    Returns
    -------
    array
        (D, H, W, others).
    spacing
        mm along D, H and W.
    turned
        Whether that is more than to read the stored axes from last to first.

    Raises
    ------
    InputError
        Where the affine does not say where the axes point.
    """
    from nibabel.orientations import apply_orientation, io_orientation

    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise InputError(
            f"{path}: its header does not say where its axes point (affine {affine[:3, :3].tolist()}, whose columns do "
            "not span a volume)",
            "mend its orientation (sform or qform of NIfTI, direction and spacing of DICOM), or save it again with its "
            "geometry",
        )
    ways = io_orientation(affine)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = [float(sizes[int(np.flatnonzero(ways[:, 0] == world)[0])]) for world in (2, 1, 0)]
    turned = tuple(map(tuple, ways.tolist())) != _NATURAL
    array = apply_orientation(array, ways)
    return np.moveaxis(array, (0, 1, 2), (2, 1, 0)), [float(f"{size:.6g}") for size in spacing], turned
