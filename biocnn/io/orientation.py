"""Volumes of a body: the same order of axes, whichever way the scanner or a tool stored them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.core.extras import needs

TURNED = "volume turned to feet-head, front-back, right-left order"
_NATURAL = ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0))


TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # between mm towards right, front and head, as NIfTI counts, and LPS


def canonical(array: np.ndarray, affine: np.ndarray, path: Path) -> tuple[np.ndarray, list[float], bool, np.ndarray]:
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
    affine
        Shape (3, 4): from indices d, h, w, 1 of the array returned to the same mm.

    Raises
    ------
    InputError
        Where the affine does not say where the axes point.
    """
    with needs("medical", f"{path}: turning a volume"):
        from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

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
    placed = (affine @ inv_ornt_aff(ways, array.shape[:3]))[:3, [2, 1, 0, 3]]
    array = np.moveaxis(apply_orientation(array, ways), (0, 1, 2), (2, 1, 0))
    return array, [float(f"{size:.6g}") for size in spacing], turned, placed


def as_stored(array: np.ndarray, affine: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """The way back from ``canonical``.

    Parameters
    ----------
    array
        (D, H, W), or what is left where axes of length one were dropped.
    affine
        As for ``canonical``.
    lengths
        Of the three axes as they were stored.
    """
    with needs("medical", "turning a volume"):
        from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

    ways = io_orientation(affine)
    array = array.reshape([lengths[int(np.flatnonzero(ways[:, 0] == world)[0])] for world in (2, 1, 0)])
    return apply_orientation(np.moveaxis(array, (0, 1, 2), (2, 1, 0)), ornt_transform(np.array(_NATURAL), ways))
