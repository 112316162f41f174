"""Bring medical volumes to a common orientation, however the scanner or a tool stored them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.core.extras import needs

TURNED = "volume reoriented to feet-head, front-back, right-left"
_NATURAL = ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0))


TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # between RAS (mm towards right, front and head, as in NIfTI) and LPS


def canonical(array: np.ndarray, affine: np.ndarray, path: Path) -> tuple[np.ndarray, list[float], bool, np.ndarray]:
    """Reorient a volume to (D, H, W) = feet to head, front to back, patient's right to left.

    This is the usual display of axial slices and the order of DICOM. Axes are swapped and flipped, never resampled; for
    oblique volumes the nearest axes are used.

    Parameters
    ----------
    array
        Three spatial axes, then any others.
    affine
        Shape (4, 4): from indices of the three axes to LPS mm (towards the patient's left, back and head).
    path
        File, for messages.

    Returns
    -------
    array
        (D, H, W, others).
    spacing
        mm along D, H and W.
    turned
        Whether this is more than reversing the order of the stored axes.
    affine
        Shape (3, 4): from indices (d, h, w, 1) of the returned array to LPS mm.

    Raises
    ------
    InputError
        If the affine is not finite or singular.
    """
    with needs("medical", f"{path}: turning a volume"):
        from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise InputError(
            f"{path}: its header does not define an orientation (affine {affine[:3, :3].tolist()}, whose columns do "
            "not span a volume)",
            "fix its orientation (sform or qform of NIfTI, direction and spacing of DICOM), or save it again with its "
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
    """Undo ``canonical``.

    Parameters
    ----------
    array
        Shape (D, H, W); axes of length one may be missing.
    affine
        As in ``canonical``.
    lengths
        Lengths of the three stored axes.
    """
    with needs("medical", "turning a volume"):
        from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

    ways = io_orientation(affine)
    array = array.reshape([lengths[int(np.flatnonzero(ways[:, 0] == world)[0])] for world in (2, 1, 0)])
    return apply_orientation(np.moveaxis(array, (0, 1, 2), (2, 1, 0)), ornt_transform(np.array(_NATURAL), ways))
