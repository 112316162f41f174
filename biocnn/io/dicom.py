"""Read DICOM files and series folders; slices are ordered by position and stacked into a volume."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.io.dicom_pixels import Plane, read_header, read_planes
from biocnn.io.kinds import is_dicom
from biocnn.io.orientation import TURNED, canonical
from biocnn.io.stored_image import RGB, Axes, StoredImage, damaged

_UNEVEN = 0.02  # tolerance of a slice's position, as a fraction of the slice step
_SAME = 1e-3  # tolerance for slice directions and pixel sizes to count as equal


def open_dicom(path: Path, *, axes: str | None = None) -> StoredImage:
    """Read a DICOM file, or the series in a folder, into memory.

    Parameters
    ----------
    path
        A file with one or several frames, or a folder with the slices of one series.
    axes
        "ZYX" declares that frames without a position are consecutive z planes.

    Raises
    ------
    InputError
        If slices are missing, belong to several series, differ in size or direction, or frames are time points.
    """
    files = [path] if path.is_file() else series_files(path)
    planes: list[Plane] = []
    repairs: dict[str, None] = {}
    for file in files:
        found, done = read_planes(file)
        planes += found
        repairs |= dict.fromkeys(done)
    if len(planes) == 1:
        pixels, spacing, affine = planes[0].pixels, planes[0].spacing, planes[0].affine
        letters = "YX"
    else:
        pixels, spacing, more, affine = _volume(planes, path, axes)
        repairs |= dict.fromkeys(more)
        letters = "ZYX"
    if len(inverted := {plane.inverted for plane in planes}) > 1:
        raise InputError(f"{path}: some slices have 0 = white, others 0 = black", "put each series into a folder")
    colour = pixels.ndim > len(letters)
    return StoredImage(
        pixels,
        Axes(letters + "C" * colour),
        RGB if colour and pixels.shape[-1] == 3 else None,
        list(spacing) if spacing else None,
        unit="mm",
        inverted=inverted.pop(),
        affine=affine,
        repairs=tuple(repairs),
        kind="DICOM",
    )


def series_files(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder, which must form one series.

    Raises
    ------
    InputError
        If there are none, or they belong to several series.
    """
    series = by_series(folder)
    if not series:
        raise InputError(f"{folder}: a folder without DICOM files", "give a file, or the folder of one series")
    if len(series) > 1:
        shown = ", ".join(f"{plural(len(files), 'file')} like {files[0].name}" for files in list(series.values())[:3])
        raise InputError(
            f"{folder}: DICOM files of {len(series)} series ({shown})", "put each series into a folder of its own"
        )
    return next(iter(series.values()))


def by_series(folder: Path) -> dict[str, list[Path]]:
    """Group the DICOM files of a folder by series."""
    series: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        if is_dicom(path) and path.name != "DICOMDIR":
            with damaged(path, "DICOM"):
                series[str(read_header(path).get("SeriesInstanceUID", ""))].append(path)
    return dict(series)


def _volume(
    planes: list[Plane], path: Path, axes: str | None
) -> tuple[np.ndarray, list[float] | None, tuple[str, ...], np.ndarray | None]:
    """Stack the slices in order: pixels (D, H, W) or (D, H, W, 3), spacing, repairs and affine."""
    shapes = {plane.pixels.shape for plane in planes}
    if len(shapes) > 1:
        raise InputError(f"{path}: slices of different sizes: {sorted(shapes)[:3]}", "put each series into a folder")
    if not all(plane.placed for plane in planes):
        if axes and axes.startswith("Z"):
            return np.stack([plane.pixels for plane in planes]), None, (), None
        lost = next(plane.name for plane in planes if not plane.placed)
        raise InputError(
            f"{path}: {len(planes)} frames or slices, but {lost} has no position, orientation or pixel size: these may "
            "be z planes or time points",
            "for z planes in this order set data.axes: ZYX; save each time point as a separate file",
        )
    planes, steps, sheared = _in_order(planes, path)
    first = planes[0]
    affine = np.eye(4)
    # indices i, j, k are column, row and slice: the array's axes in reverse order
    affine[:3, :3] = np.stack([first.across * first.spacing[1], first.down * first.spacing[0], steps], axis=1)
    affine[:3, 3] = planes[0].position
    stacked = np.stack([plane.pixels for plane in planes])
    with damaged(path, "DICOM"):
        pixels, spacing, turned, placed = canonical(np.moveaxis(stacked, (0, 1, 2), (2, 1, 0)), affine, path)
    repairs = [TURNED] if turned else []
    if sheared:
        repairs.append("slices shifted against each other (tilted gantry): stacked as they are")
    return pixels, spacing, tuple(repairs), placed


def _in_order(planes: list[Plane], path: Path) -> tuple[list[Plane], np.ndarray, bool]:
    """Sort slices along their normal; return them, the step in mm and whether they are sheared."""
    first = planes[0]
    normal = np.cross(first.across, first.down)
    for plane in planes:
        alike = np.allclose([plane.across, plane.down], [first.across, first.down], atol=_SAME)
        if not (alike and np.allclose(plane.spacing, first.spacing, rtol=_SAME)):
            raise InputError(
                f"{path}: {plane.name} differs in direction or pixel size from {first.name}",
                "is it a localizer? move it out of the folder",
            )
    planes = sorted(planes, key=lambda plane: float(plane.position @ normal))
    along = np.array([plane.position @ normal for plane in planes])
    gaps = np.diff(along)
    step = float(np.median(gaps))
    off = np.flatnonzero(np.abs(gaps - step) > _UNEVEN * abs(step))
    if len(off) or step <= 0:
        at = int(off[0]) if len(off) else 0
        pair = f"{planes[at].name} and {planes[at + 1].name}"
        if np.isclose(gaps, 0, atol=_SAME).any():
            at = int(np.flatnonzero(np.isclose(gaps, 0, atol=_SAME))[0])
            raise InputError(
                f"{path}: {planes[at].name} and {planes[at + 1].name} are at the same position",
                "are these time points, echoes or b-values? put each volume into a folder of its own",
            )
        raise InputError(
            f"{path}: {gaps[at]:g} mm between {pair}, but {step:g} mm between the others",
            "is a slice missing? add it, or split the series there",
        )
    whole = (planes[-1].position - planes[0].position) / (len(planes) - 1)
    return planes, normal * step, bool(np.linalg.norm(whole - normal * step) > 0.05 * step)
