"""Which format a file has, told by its first bytes and not by its name, and the reader of it."""

from pathlib import Path

from biocnn.data.stored import Stored
from biocnn.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".npy", ".npz")
_ALLOWED = "PNG, JPEG, BMP, GIF, TIFF, OME-TIFF, NumPy"
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
}


def open_stored(path: Path, *, axes: str | None = None, indices: bool = False) -> Stored:
    """Open one image of any format.

    Parameters
    ----------
    path
        File.
    axes
        Order of the axes where the file does not tell: letters of C, Z, Y, X.
    indices
        Read as a mask: keep the indices of a palette instead of its colours, and the values of 2- and 4-bit PNG.

    Raises
    ------
    InputError
        Where the file is missing, damaged, of another kind, or cannot be used.
    """
    kind = _kind(path)
    if kind == "TIFF":
        from biocnn.data.tiff import open_tiff

        return open_tiff(path, axes=axes, indices=indices)
    if kind in ("npy", "npz"):
        from biocnn.data.arrays import open_array

        return open_array(path, kind, axes=axes, indices=indices)
    from biocnn.data.raster import open_raster

    return open_raster(path, kind, indices=indices)


def _kind(path: Path) -> str:
    if path.is_dir() or not path.exists():
        raise InputError(f"{path}: " + ("a folder, not a file" if path.is_dir() else "no such file"), "check the path")
    try:
        with open(path, "rb") as handle:
            head = handle.read(8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", "check its permissions") from error
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    found = "an empty file" if not head else f"not an image file that can be read (it starts with {head!r})"
    raise InputError(f"{path}: {found}", f"allowed: {_ALLOWED}; convert it, or copy it again")
