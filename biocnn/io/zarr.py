"""Read OME-Zarr (OME-NGFF) images by chunks at full resolution."""

from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.io.stored_image import StoredImage, damaged, settle_axes

_MICROMETRES = {"angstrom": 1e-4, "nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "centimeter": 1e4}
_MICROMETRES |= {"meter": 1e6}


def open_zarr(path: Path, *, axes: str | None = None) -> StoredImage:
    """Open an OME-Zarr image or label image at full resolution, or a plain Zarr array.

    Parameters
    ----------
    path
        Folder of the image (format versions 0.1 to 0.5), or of a Zarr array.
    axes
        Order of the axes if the file does not state it.

    Raises
    ------
    InputError
        If zarr is not installed, or the folder is a plate, a group without an image, or has a time axis.
    """
    with needs("zarr", f"{path}: reading OME-Zarr"):
        import zarr
    with damaged(path, "OME-Zarr"):
        node: Any = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            return _stored(node, "YX" if node.ndim == 2 else "?" * node.ndim, path, axes)
        metadata = dict(node.attrs.get("ome", node.attrs))
        images = metadata.get("multiscales") or []
        if not images:
            inside = ", ".join(sorted(node.keys())[:6])
            what = "a plate" if "plate" in metadata else f"a group without an image (it holds {inside or 'nothing'})"
            raise InputError(f"{path}: OME-Zarr: {what}", "give the folder of one image (with multiscales metadata)")
        if len(images) > 1:
            raise InputError(f"{path}: OME-Zarr with {len(images)} images", "save each image in a separate folder")
        full = images[0]["datasets"][0]
        array = node[full["path"]]
        named = images[0].get("axes") or "tczyx"[5 - array.ndim :]
        names = [axis["name"] if isinstance(axis, dict) else axis for axis in named]
        scale = _scale(full) or [1.0] * array.ndim
        overall = _scale(images[0]) or [1.0] * array.ndim
        steps = {name.upper(): _um(axis, a * b) for name, axis, a, b in zip(names, named, scale, overall, strict=True)}
        channels = [str(c.get("label", "")) for c in metadata.get("omero", {}).get("channels", [])]
        return _stored(array, "".join(name.upper() for name in names), path, axes, steps, channels)


def _stored(
    array: Any,
    found: str,
    path: Path,
    axes: str | None,
    steps: dict[str, float | None] | None = None,
    channels: list[str] | None = None,
) -> StoredImage:
    settled = settle_axes(found, array.shape, axes, path)
    repairs = (f"axes not stated in the file: assumed {settled.letters}",) if settled.guessed else ()
    spacing = [(steps or {}).get(letter) or 0.0 for letter in "ZYX" if letter in settled.letters]
    usable = channels and all(channels) and len(set(channels)) == len(channels)
    return StoredImage(
        array,
        settled,
        channels if usable else None,
        spacing if all(spacing) else None,
        repairs=repairs,
        kind="OME-Zarr",
    )


def _scale(entry: dict[str, Any]) -> list[float] | None:
    for change in entry.get("coordinateTransformations") or []:
        if change.get("type") == "scale":
            return [float(size) for size in change["scale"]]
    return None


def _um(axis: Any, size: float) -> float | None:
    """Convert a step to um; None if the axis has no unit of length."""
    factor = _MICROMETRES.get(axis.get("unit", "")) if isinstance(axis, dict) else None
    return None if factor is None or size <= 0 else round(size * factor, 9)
