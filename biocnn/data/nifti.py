"""NIfTI volumes (.nii, .nii.gz), through nibabel."""

from pathlib import Path

import numpy as np

from biocnn.data.arrays import narrowed
from biocnn.data.orientation import TURNED, canonical
from biocnn.data.stored import RGB, Axes, Stored, damaged
from biocnn.errors import InputError

_MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 1e-3, "unknown": 1.0}
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI counts towards the patient's right and front


def open_nifti(path: Path, *, axes: str | None = None, indices: bool = False) -> Stored:
    """Read a volume whole, turned to the order of ``orientation.canonical``; a single slice is a plane.

    Parameters
    ----------
    path
        NIfTI-1 or -2.
    axes
        "CZYX" says that a fourth axis holds channels; the other axes are told by the file.
    indices
        Read for its whole numbers, as a mask, in the smallest type that holds them.

    Raises
    ------
    InputError
        Where the file is damaged, or has a fourth axis that ``axes`` does not explain.
    """
    import nibabel

    with damaged(path, "NIfTI"):
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Pair):
            raise InputError(f"{path}: {type(image).__name__}, not NIfTI", "convert it to .nii or .nii.gz")
        array = np.asanyarray(image.dataobj)
        unit = image.header.get_xyzt_units()[0]
    array, channels = _channels(array, path, axes)
    array, spacing, turned = canonical(array, _TO_LPS @ image.affine)
    repairs = [f"orientation {''.join(nibabel.aff2axcodes(image.affine))}: {TURNED}"] if turned else []
    if (image.dataobj.slope, image.dataobj.inter) != (1, 0):
        repairs.append("slope and intercept of the header applied")
    array = narrowed(array) if indices else array
    spacing = [size * _MILLIMETRES[unit] for size in spacing]
    kept = [i for i, n in enumerate(array.shape[:3]) if n > 1]
    planes = len(kept) == 2  # one slice, whichever way it was cut
    letters = "".join(("-" if i not in kept else "YX"[kept.index(i)]) if planes else "ZYX"[i] for i in range(3))
    return Stored(
        array,
        Axes(letters + ("C" if channels else "")),
        RGB if channels == 3 and image.get_data_dtype().fields else None,
        ([spacing[i] for i in kept] if planes else spacing) if min(spacing) > 0 else None,
        unit="mm",
        repairs=tuple(repairs),
        kind="NIfTI",
    )


def _channels(array: np.ndarray, path: Path, axes: str | None) -> tuple[np.ndarray, int]:
    """The array with three spatial axes and perhaps one of channels; and the number of channels, 0 for no such axis."""
    if array.dtype.fields:  # RGB and RGBA are stored as records
        array = np.stack([array[name] for name in ("R", "G", "B")], axis=-1)
        return array, 3
    array = array.reshape([*array.shape[:3], *[1] * (3 - array.ndim), *[n for n in array.shape[3:] if n > 1]])
    if array.ndim == 3:
        return array, 0
    if array.ndim == 4 and axes and "C" in axes and "Z" in axes:
        return array, array.shape[3]
    raise InputError(
        f"{path}: axes of lengths {' x '.join(map(str, array.shape))}; a fourth axis is time or channels, and the "
        "file does not say which",
        "save each time point as a volume of its own, or, where it holds channels, set data.axes: CZYX",
    )
