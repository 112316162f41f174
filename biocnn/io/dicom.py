"""DICOM files and series folders: slices put in order by their position, as one volume."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.dicom_pixels import Plane, read_header, read_planes
from biocnn.io.kinds import is_dicom
from biocnn.io.orientation import TURNED, canonical
from biocnn.io.stored import RGB, Axes, Stored, damaged

_UNEVEN = 0.02  # share of the step between slices by which one may be off
_SAME = 1e-3  # difference of directions and pixel sizes up to which slices are parallel and alike


def open_dicom(path: Path, *, axes: str | None = None) -> Stored:
    """Read a file, or the series in a folder, whole.

    Parameters
    ----------
    path
        A file of one or several frames, or a folder of the slices of one series.
    axes
        "ZYX" says that frames without a position are z planes, in their order.

    Raises
    ------
    InputError
        Where slices are missing, of several series, of different sizes or directions, or frames are time points.
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
        raise InputError(f"{path}: slices with 0 = white among others", "put each series into a folder")
    colour = pixels.ndim > len(letters)
    return Stored(
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
    """The DICOM files of a folder that are one series.

    Raises
    ------
    InputError
        Where there is none, or they are of several series.
    """
    series = by_series(folder)
    if not series:
        raise InputError(f"{folder}: a folder without DICOM files", "give a file, or the folder of one series")
    if len(series) > 1:
        shown = ", ".join(f"{len(files)} files like {files[0].name}" for files in list(series.values())[:3])
        raise InputError(
            f"{folder}: DICOM files of {len(series)} series ({shown})", "put each series into a folder of its own"
        )
    return next(iter(series.values()))


def by_series(folder: Path) -> dict[str, list[Path]]:
    """DICOM files of a folder by the series they belong to."""
    series: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        if is_dicom(path) and path.name != "DICOMDIR":
            with damaged(path, "DICOM"):
                series[str(read_header(path).get("SeriesInstanceUID", ""))].append(path)
    return dict(series)


def _volume(
    planes: list[Plane], path: Path, axes: str | None
) -> tuple[np.ndarray, list[float] | None, tuple[str, ...], np.ndarray | None]:
    """Slices stacked in order, (D, H, W) or (D, H, W, 3), their spacing, what was repaired, and where they lie."""
    shapes = {plane.pixels.shape for plane in planes}
    if len(shapes) > 1:
        raise InputError(f"{path}: slices of different sizes: {sorted(shapes)[:3]}", "put each series into a folder")
    if not all(plane.placed for plane in planes):
        if axes and axes.startswith("Z"):
            return np.stack([plane.pixels for plane in planes]), None, (), None
        lost = next(plane.name for plane in planes if not plane.placed)
        raise InputError(
            f"{path}: {len(planes)} frames or slices, but {lost} has no position, orientation or pixel size: they may "
            "be z planes or time points",
            "where they are z planes in this order, set data.axes: ZYX; time points: save each as a file of its own",
        )
    planes, steps, sheared = _in_order(planes, path)
    first = planes[0]
    affine = np.eye(4)
    # (slice, row, column) from first to last, as indices i, j, k of the array read from last axis to first
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
    """Slices along their normal, the step from one to the next in mm, and whether that leaves the normal."""
    first = planes[0]
    normal = np.cross(first.across, first.down)
    for plane in planes:
        alike = np.allclose([plane.across, plane.down], [first.across, first.down], atol=_SAME)
        if not (alike and np.allclose(plane.spacing, first.spacing, rtol=_SAME)):
            raise InputError(
                f"{path}: {plane.name} has another direction or pixel size than {first.name}",
                "a localizer? take it out of the folder, or put it into a folder of its own",
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
                "time points, echoes or b-values? put each volume into a folder of its own",
            )
        raise InputError(
            f"{path}: {gaps[at]:g} mm between {pair}, but {step:g} mm between others",
            "is a slice missing? add it, or cut the series there",
        )
    whole = (planes[-1].position - planes[0].position) / (len(planes) - 1)
    return planes, normal * step, bool(np.linalg.norm(whole - normal * step) > 0.05 * step)
