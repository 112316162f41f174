"""Read the planes of a DICOM file: values in the units stated by the header, and positions in the patient."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

from biocnn.core.errors import InputError
from biocnn.io.dicom_codecs import register
from biocnn.io.stored_image import check_size, damaged

_PIXELS = {"PixelData", "FloatPixelData", "DoubleFloatPixelData"}
_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.int32)

register()


@dataclass(frozen=True)
class Plane:
    """One slice.

    ``pixels`` has the shape (H, W) or (H, W, 3); ``inverted`` is as in ``StoredImage``; ``position`` is
    the first pixel, in mm; ``across`` and ``down`` are the directions of increasing column and row;
    ``spacing`` is [row, column] in mm. None if not stated.
    """

    pixels: np.ndarray
    name: str
    inverted: float | None = None
    position: np.ndarray | None = None
    across: np.ndarray | None = None
    down: np.ndarray | None = None
    spacing: tuple[float, float] | None = None

    @property
    def placed(self) -> bool:
        return not (self.position is None or self.across is None or self.spacing is None)

    @property
    def affine(self) -> np.ndarray | None:
        """Matrix from (row, column, 1) to mm: shape (3, 3)."""
        if not self.placed:
            return None
        return np.stack([self.down * self.spacing[0], self.across * self.spacing[1], self.position], axis=1)


def read_header(path: Path) -> pydicom.Dataset:
    """Read the header, without the pixels.

    Raises
    ------
    InputError
        If the file is damaged, or holds no usable image.
    """
    with damaged(path, "DICOM"):
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        _check(header, path)
        return header


def read_planes(path: Path) -> tuple[list[Plane], tuple[str, ...]]:
    """Read all frames of a file; return them and the repairs made to their values.

    Raises
    ------
    InputError
        If the file is damaged, compressed in a way that cannot be decoded, or not an image.
    """
    with damaged(path, "DICOM"):
        data = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in data.file_meta:  # a file without a preamble does not state its encoding
            data.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            if not data.original_encoding[0]:
                data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        _check(data, path)
        if not _PIXELS & set(data.dir()):
            raise InputError(f"{path}: DICOM file with an image header but no pixels", "copy it again, or leave it out")
        shape = [data.get(key) or 1 for key in ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel")]
        check_size(path, shape, np.dtype(f"u{max(1, (data.get('BitsAllocated') or 8) // 8)}"))
        try:
            pixels = pixel_array(data)
        except (NotImplementedError, RuntimeError) as error:
            syntax, why = data.file_meta.TransferSyntaxUID.name, " ".join(str(error).split())
            raise InputError(
                f"{path}: compressed as {syntax}, which cannot be decoded here ({why[:300]})",
                "save it uncompressed, e.g. with dcmdjpeg or gdcmconv --raw",
            ) from error
        return _planes(pixels, data, path)


def _planes(pixels: np.ndarray, data: pydicom.Dataset, path: Path) -> tuple[list[Plane], tuple[str, ...]]:
    repairs: list[str] = []
    pixels = _colours(pixels, data, repairs)
    frames = pixels if _frames(data) > 1 else pixels[None]
    planes = []
    for number, frame in enumerate(frames):
        groups = _groups(data, number)
        values = _values(frame, data, groups, repairs)
        name = path.name if len(frames) == 1 else f"frame {number + 1}"
        plane = _placed(values, data, groups, name, _inverted(data, groups, repairs))
        planes.append(_moved(plane, data, number))
    return planes, tuple(dict.fromkeys(repairs))


def _check(data: pydicom.Dataset, path: Path) -> None:
    if "Rows" not in data or "Columns" not in data:
        kind = data.get("SOPClassUID")
        raise InputError(
            f"{path}: DICOM file without an image" + (f" ({getattr(kind, 'name', kind)})" if kind else ""),
            "reports, structure sets and indices hold no pixels: leave it out",
        )
    if "TotalPixelMatrixColumns" in data:
        raise InputError(f"{path}: a tiled whole-slide image", "convert it to a tiled TIFF or OME-TIFF")
    segments = data.get("SegmentSequence") or []
    if len(segments) > 1:
        raise InputError(
            f"{path}: a segmentation with {len(segments)} segments, which may overlap",
            "save one mask per file, or one label volume as NIfTI",
        )


def _frames(data: pydicom.Dataset) -> int:
    return int(data.get("NumberOfFrames") or 1)


def _colours(pixels: np.ndarray, data: pydicom.Dataset, repairs: list[str]) -> np.ndarray:
    """Convert palette indices to colours."""
    if data.get("PhotometricInterpretation", "") == "PALETTE COLOR":
        repairs.append("palette replaced by its colours")
        colours = apply_color_lut(pixels, data)
        return (colours >> 8).astype(np.uint8) if colours.dtype == np.uint16 else colours
    return pixels


def _inverted(data: pydicom.Dataset, groups: list[Any], repairs: list[str]) -> float | None:
    """Return lowest + highest value for MONOCHROME1 (0 = white), unless the values have a unit."""
    if data.get("PhotometricInterpretation", "") != "MONOCHROME1":
        return None
    table = data.get("ModalityLUTSequence")
    kind = table[0].get("ModalityLUTType") if table else data.get("RescaleType")
    slope, intercept = _rescale(data, groups)
    changed = bool(table) or (slope, intercept) != (1, 0)
    if (kind or ("" if not changed else "unknown unit")) not in ("", "US"):  # US: unspecified
        repairs.append(f"MONOCHROME1 (0 = white) not inverted, because its values have a unit ({kind or 'not named'})")
        return None
    return sum(slope * end + intercept for end in _stored_range(data))


def _stored_range(data: pydicom.Dataset) -> tuple[int, int]:
    bits = int(data.BitsStored)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if data.PixelRepresentation else (0, 2**bits - 1)


def _values(frame: np.ndarray, data: pydicom.Dataset, groups: list[Any], repairs: list[str]) -> np.ndarray:
    """Rescale to the units of the header; the type depends only on the header, so that slices agree."""
    if "ModalityLUTSequence" in data:
        repairs.append("modality table applied")
        return apply_modality_lut(frame, data)
    slope, intercept = _rescale(data, groups)
    if (slope, intercept) == (1, 0):
        return frame
    repairs.append("rescale slope and intercept applied")
    if frame.dtype.kind != "f" and slope.is_integer() and intercept.is_integer():
        ends = [int(slope * end + intercept) for end in _stored_range(data)]
        for kind in _INTEGERS:
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                return (frame.astype(np.int64) * int(slope) + int(intercept)).astype(kind)
    return (frame.astype(np.float64) * slope + intercept).astype(np.float32)


def _rescale(data: pydicom.Dataset, groups: list[Any]) -> tuple[float, float]:
    slope = _find(data, groups, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = _find(data, groups, "PixelValueTransformationSequence", "RescaleIntercept")
    return float(1 if slope is None else slope), float(0 if intercept is None else intercept)


def _groups(data: pydicom.Dataset, number: int) -> list[Any]:
    """Return the functional groups of a frame of an enhanced file, per-frame before shared ones."""
    per_frame = data.get("PerFrameFunctionalGroupsSequence") or []
    shared = data.get("SharedFunctionalGroupsSequence") or []
    return [*per_frame[number : number + 1], *shared]


def _find(data: pydicom.Dataset, groups: list[Any], sequence: str, key: str) -> Any:
    for group in groups:
        for item in group.get(sequence) or []:
            if key in item:
                return item[key].value
    return data.get(key)


def _placed(pixels: np.ndarray, data: pydicom.Dataset, groups: list[Any], name: str, inverted: float | None) -> Plane:
    position = _find(data, groups, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _find(data, groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _find(data, groups, "PixelMeasuresSequence", "PixelSpacing") or data.get("ImagerPixelSpacing")
    turned = None if not orientation else np.asarray(orientation, dtype=float).reshape(2, 3)
    size = None if not spacing or min(spacing) <= 0 else (float(spacing[0]), float(spacing[1]))
    return Plane(
        pixels,
        name,
        inverted,
        None if not position else np.asarray(position, dtype=float),
        None if turned is None else turned[0],
        None if turned is None else turned[1],
        size,
    )


def _moved(plane: Plane, data: pydicom.Dataset, number: int) -> Plane:
    """Shift a frame of a grid, e.g. a dose grid, along the normal by its offset in the header."""
    offsets = data.get("GridFrameOffsetVector") or []
    if not plane.placed or len(offsets) != _frames(data):
        return plane
    normal = np.cross(plane.across, plane.down)
    return replace(plane, position=plane.position + normal * (float(offsets[number]) - float(offsets[0])))
