"""Write small DICOM files for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

AXIAL = [1, 0, 0, 0, 1, 0]
SERIES = generate_uid(entropy_srcs=["one series"])


def write_dicom(
    path: Path,
    pixels: np.ndarray,
    position: list[float] | None = None,
    orientation: list[float] = AXIAL,
    spacing: tuple[float, float] | None = (0.5, 0.25),
    series: str = SERIES,
    syntax: str = ExplicitVRLittleEndian,
    encoded: bytes | None = None,
    **more: Any,
) -> None:
    """Write pixels (H, W), (H, W, 3) or, with ``NumberOfFrames``, (N, H, W); ``more`` are further elements."""
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = MRImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    data.SeriesInstanceUID = series
    frames = int(more.get("NumberOfFrames", 1))
    shape = pixels.shape[1:] if frames > 1 else pixels.shape
    data.Rows, data.Columns = shape[:2]
    data.SamplesPerPixel = shape[2] if len(shape) == 3 else 1
    data.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
    if len(shape) == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    if position is not None:
        data.ImagePositionPatient, data.ImageOrientationPatient = list(position), list(orientation)
    if spacing is not None:
        data.PixelSpacing = list(spacing)
    data.PixelData = pixels.tobytes() if encoded is None else pydicom.encaps.encapsulate([encoded])
    data["PixelData"].VR = "OW"
    for key, value in more.items():
        setattr(data, key, value)
    data.save_as(path, enforce_file_format=True)


def write_series(folder: Path, volume: np.ndarray, step: float = 2.0, **more: Any) -> None:
    """Write slices of a volume (D, H, W), from feet to head, with names that do not reveal their order."""
    folder.mkdir(exist_ok=True)
    names = np.random.default_rng(3).permutation(len(volume))
    for i, (name, pixels) in enumerate(zip(names, volume, strict=True)):
        write_dicom(folder / f"IM{name}", pixels, [-10.0, -20.0, -30.0 + step * i], **more)
