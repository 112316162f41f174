"""Output of masks, labels and images: NIfTI for medical images, else TIFF, with the geometry of the image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from biocnn.apply.segment.pyramid import write_image
from biocnn.core.extras import needs
from biocnn.io.lazy import LazyImage
from biocnn.io.nifti import open_header
from biocnn.io.orientation import TO_LPS, as_stored
from biocnn.io.resampling import Read


def write_like(
    image: LazyImage,
    folder: Path,
    name: str,
    read: Read,
    dtype: np.dtype,
    spacing: Sequence[float] | None,
    unit: str,
    channels: Sequence[str] = (),
    upscale: int = 1,
) -> Path:
    """Write the mask or labels of an image, or an image of the same size, or with more pixels.

    For NIfTI the output is NIfTI with the header and axis order of the image. For DICOM with a known position in the
    patient it is NIfTI, too; for all other formats, several channels and more pixels it is TIFF, see ``write_image``.

    Parameters
    ----------
    image
        Image that they belong to.
    folder, name
        Folder, and file name without suffix.
    read
        Maps a window, whose slices may have steps, to values.
    dtype
        Type of the values.
    spacing, unit
        Pixel size of the image along each axis, if known.
    channels
        Names of the channels of an image, which is then read and written with channels first.
    upscale
        Pixels of the output per pixel of the image, along each axis.
    """
    shape = (*([len(channels)] if channels else []), *(upscale * n for n in image.shape[1:]))
    spacing = spacing and [size / upscale for size in spacing]
    if (
        len(channels) < 2
        and upscale == 1
        and (image.kind == "NIfTI" or (image.kind == "DICOM" and image.affine is not None))
    ):
        folder.mkdir(exist_ok=True)
        values = read(tuple(slice(0, n, 1) for n in shape)).astype(dtype, copy=False)
        return _write_nifti(image, folder, name, values[0] if channels else values)
    return write_image(folder, name, read, shape, dtype, spacing, unit, channels)


def _write_nifti(image: LazyImage, folder: Path, name: str, values: np.ndarray) -> Path:
    with needs("medical", "writing NIfTI"):
        import nibabel

    if image.kind == "DICOM":
        path = folder / f"{name}.nii.gz"
        affine = TO_LPS @ _whole_affine(image.affine)
        made = nibabel.Nifti1Image(values.reshape((1,) * (3 - values.ndim) + values.shape).T, affine)
        made.set_qform(affine, "scanner")
        made.set_sform(affine, "scanner")
        made.header.set_xyzt_units("mm")
    else:
        path = folder / (name + (".nii" if image.path.name.lower().endswith(".nii") else ".nii.gz"))
        source = open_header(image.path)
        lengths = (*source.shape[:3], *[1] * (3 - len(source.shape)))
        header = source.header.copy()
        header.set_data_dtype(values.dtype)
        header["cal_min"] = header["cal_max"] = 0  # display range of the image, which does not suit labels
        made = type(source)(as_stored(values, TO_LPS @ source.affine, lengths), source.affine, header)
    nibabel.save(made, path)
    return path


def _whole_affine(affine: np.ndarray) -> np.ndarray:
    """Complete ``StoredImage.affine`` to (4, 4), from columns, rows, slices and 1 to mm; a plane is a slice of 1 mm."""
    *steps, origin = affine.T
    if len(steps) == 2:
        normal = np.cross(steps[1], steps[0])
        steps = [normal / np.linalg.norm(normal), *steps]
    found = np.eye(4)
    found[:3] = np.stack([*steps[::-1], origin], axis=1)
    return found
