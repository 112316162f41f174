"""Read NIfTI volumes (.nii, .nii.gz) with nibabel."""

import gzip
from pathlib import Path
from typing import IO, Any

import numpy as np

from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.io.orientation import TO_LPS, TURNED, canonical
from biocnn.io.stored_image import RGB, Axes, StoredImage, check_size, damaged

_MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 1e-3, "unknown": 1.0}
_CIFTI = range(3000, 3100)  # intent codes


def open_nifti(path: Path, *, axes: str | None = None) -> StoredImage:
    """Read a volume in the orientation of ``orientation.canonical``; a single slice becomes a plane.

    Parameters
    ----------
    path
        NIfTI-1 or NIfTI-2 file.
    axes
        "CZYX" declares that a fourth axis holds channels; the file states the other axes.

    Raises
    ------
    InputError
        If the file is damaged, or has a fourth axis that ``axes`` does not explain.
    """
    with needs("medical", f"{path}: reading NIfTI"):
        import nibabel

    with damaged(path, "NIfTI"), _unpacked(path) as handle:
        image = _load(handle, path)
        check_size(path, image.shape, image.get_data_dtype())
        array = np.asanyarray(image.dataobj)
        unit = image.header.get_xyzt_units()[0]
        array, channels = _channels(array, path, axes)
        array, spacing, turned, affine = canonical(array, TO_LPS @ image.affine, path)
    repairs = [f"orientation {''.join(nibabel.aff2axcodes(image.affine))}: {TURNED}"] if turned else []
    if _placed_twice(image):
        repairs.append("sform and qform of the header disagree: sform used")
    if (image.dataobj.slope, image.dataobj.inter) != (1, 0):
        repairs.append("slope and intercept of the header applied")
    spacing = [size * _MILLIMETRES[unit] for size in spacing]
    kept = [i for i, n in enumerate(array.shape[:3]) if n > 1]
    planes = len(kept) == 2  # a single slice, in any direction
    placed = image.header["sform_code"] > 0 or image.header["qform_code"] > 0  # otherwise nibabel invents an affine
    affine = affine * _MILLIMETRES[unit]
    letters = "".join(("-" if i not in kept else "YX"[kept.index(i)]) if planes else "ZYX"[i] for i in range(3))
    return StoredImage(
        array,
        Axes(letters + ("C" if channels else "")),
        RGB if channels == 3 and image.get_data_dtype().fields else None,
        ([spacing[i] for i in kept] if planes else spacing) if min(spacing) > 0 else None,
        unit="mm",
        affine=(affine[:, [*kept, 3]] if planes else affine) if placed else None,
        repairs=tuple(repairs),
        kind="NIfTI",
    )


def open_header(path: Path) -> Any:
    """Open a file with nibabel; everything but the pixels can be used."""
    with damaged(path, "NIfTI"), _unpacked(path) as handle:
        return _load(handle, path)


def _unpacked(path: Path) -> IO[bytes]:
    with open(path, "rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else open(path, "rb")


def _load(handle: IO[bytes], path: Path) -> Any:
    """Load the image without its pixels, by its first bytes (nibabel goes by the name)."""
    with needs("medical", f"{path}: reading NIfTI"):
        import nibabel

    head = handle.read(348)
    holder = nibabel.FileHolder(fileobj=handle)
    if head[344:347] == b"n+1":
        image = nibabel.Nifti1Image.from_file_map({"header": holder, "image": holder})
    elif head[4:7] == b"n+2":
        image = nibabel.Nifti2Image.from_file_map({"header": holder, "image": holder})
    else:
        raise InputError(
            f"{path}: looks like Analyze or two-file NIfTI, not single-file NIfTI", "convert it to .nii or .nii.gz"
        )
    if int(image.header["intent_code"]) in _CIFTI:
        raise InputError(f"{path}: CIFTI, not NIfTI: it holds no volume", "convert it to .nii or .nii.gz")
    return image


def _placed_twice(image: Any) -> bool:
    """Return whether sform and qform of the header differ by more than half a voxel anywhere."""
    header, shape = image.header, np.array([*image.shape, 1, 1])[:3]
    if not (header["sform_code"] > 0 and header["qform_code"] > 0):
        return False
    try:
        apart = header.get_sform() - header.get_qform()
    except ValueError:  # an invalid quaternion
        return True
    corners = np.vstack([np.indices((2, 2, 2)).reshape(3, -1) * (shape[:, None] - 1), np.ones((1, 8))])
    return bool(np.abs(apart[:3] @ corners).max() > 0.5 * np.linalg.norm(image.affine[:3, :3], axis=0).min())


def _channels(array: np.ndarray, path: Path, axes: str | None) -> tuple[np.ndarray, int]:
    """Return the array with three spatial axes and an optional channel axis, and the number of channels or 0."""
    if array.dtype.fields:  # RGB and RGBA are stored as structured arrays
        array = np.stack([array[name] for name in ("R", "G", "B")], axis=-1)
        return array, 3
    array = array.reshape([*array.shape[:3], *[1] * (3 - array.ndim), *[n for n in array.shape[3:] if n > 1]])
    if array.ndim == 3:
        return array, 0
    if array.ndim == 4 and axes and "C" in axes and "Z" in axes:
        return array, array.shape[3]
    raise InputError(
        f"{path}: axes of lengths {' x '.join(map(str, array.shape))}; the fourth axis is time or channels, and the "
        "file does not state which",
        "save each time point as a separate volume, or, if it holds channels, set data.axes: CZYX",
    )
