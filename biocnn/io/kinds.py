"""Recognise the format of a file by its first bytes, not its name, and open it with its reader."""

import gzip
import zlib
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.core.files import exists
from biocnn.io.stored_image import StoredImage

_DICOM = (".dcm", ".dicom", ".ima")
_OTHERS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".npy", ".npz", ".nii", ".nii.gz")
SUFFIXES = (*_OTHERS, *_DICOM, ".zarr")
_ALLOWED = "PNG, JPEG, BMP, GIF, TIFF, OME-TIFF, NumPy, NIfTI, DICOM, OME-Zarr"
# header length, 348 or 540 bytes, in either byte order
_NIFTI = (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c")
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x93NUMPY": "npy",
    b"PK\x03\x04": "npz",
} | dict.fromkeys(_NIFTI, "NIfTI")


def open_stored(path: Path, *, axes: str | None = None) -> StoredImage:
    """Open one image of any format.

    Parameters
    ----------
    path
        File or folder, or the image of an .npz file with several: file.npz/test_images[0].
    axes
        Order of the axes if the file does not state it: letters of C, Z, Y, X.

    Raises
    ------
    InputError
        If the file is missing, damaged, of an unknown format, or unusable.
    """
    if path.parent.suffix.lower() == ".npz" and path.parent.is_file():
        from biocnn.io.labelled_npz import images_in

        return images_in(path.parent, axes).stored(path.name)
    kind = _kind(path)
    if kind == "TIFF":
        from biocnn.io.tiff import open_tiff

        return open_tiff(path, axes=axes)
    if kind in ("npy", "npz"):
        from biocnn.io.arrays import open_array

        return open_array(path, kind, axes=axes)
    if kind == "NIfTI":
        from biocnn.io.nifti import open_nifti

        return open_nifti(path, axes=axes)
    if kind == "DICOM":
        with needs("medical", f"{path}: reading DICOM"):
            from biocnn.io.dicom import open_dicom

        return open_dicom(path, axes=axes)
    if kind == "OME-Zarr":
        from biocnn.io.zarr import open_zarr

        return open_zarr(path, axes=axes)
    from biocnn.io.raster import open_raster

    return open_raster(path, kind)


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a Zarr group or array, version 2 or 3."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def is_dicom(path: Path) -> bool:
    """Return whether a file is DICOM, by its mark, or by its suffix if it has no preamble."""
    return has_dicom_mark(path) or (path.suffix.lower() in _DICOM and path.stat().st_size > 0)


def has_dicom_mark(path: Path) -> bool:
    """Return whether a file has the DICOM mark after a preamble of 128 bytes."""
    try:
        with open(path, "rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:  # an unreadable file is reported when it is used
        return False


def _kind(path: Path) -> str:
    if not exists(path):
        raise InputError(f"{path}: no such file", "check the path")
    if path.is_dir():
        return _kind_of_folder(path)
    try:
        if has_dicom_mark(path):  # first, because its preamble may be anything, e.g. that of a TIFF
            return "DICOM"
        with open(path, "rb") as handle:
            head = handle.read(8)
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as handle:
                head = handle.read(8)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})", "check its permissions, or copy it again") from error
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if is_dicom(path):
        return "DICOM"
    problem = "an empty file" if not head else f"not a supported image file (it starts with {head[:8]!r})"
    raise InputError(f"{path}: {problem}", f"allowed: {_ALLOWED}; convert it, or copy it again")


def _kind_of_folder(path: Path) -> str:
    if is_zarr(path):
        return "OME-Zarr"
    if any(is_dicom(p) for p in path.iterdir() if p.is_file()):
        return "DICOM"
    raise InputError(f"{path}: a folder, but neither a DICOM series nor OME-Zarr", "give the files in it")
