"""Read windows of a TIFF file, decoding only the strips or tiles they intersect."""

import math
from collections import OrderedDict
from itertools import product
from pathlib import Path

import numpy as np
import tifffile

from biocnn.io.stored_image import check_size

# Old-style JPEG, JPEG, and two variants in slides: decoded to RGB; segments share tables in a tag of the page.
JPEG = (6, 7, 34892, 33007)
_CACHE = 64 * 2**20  # bytes of decoded segments cached, so that neighbouring windows do not decode them twice


class MappedPixels:
    """Uncompressed contiguous pixels: each window is mapped, copied and unmapped.

    A persistent map would count every page ever read as memory of this process.
    """

    def __init__(self, path: str, dtype: np.dtype, shape: tuple[int, ...], offset: int, fortran: bool = False) -> None:
        self.path, self.dtype, self.shape, self.offset = path, np.dtype(dtype), tuple(shape), offset
        self.order = "F" if fortran else "C"

    def __getitem__(self, window: tuple[slice, ...]) -> np.ndarray:
        if 0 in self.shape:
            return np.zeros(self.shape, self.dtype)
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)
        return np.array(mapped[window])


class SegmentedPixels:
    """Pixels of a series of TIFF pages in strips or tiles, compressed or not."""

    def __init__(self, series: tifffile.TiffPageSeries) -> None:
        self.series, self.shape, self.dtype = series, tuple(series.shape), np.dtype(series.dtype)
        self.page = series.keyframe
        self.leading = self.shape[: len(self.shape) - len(self.page.shape)]
        self.cache: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self.cached = 0

    @classmethod
    def fits(cls, series: tifffile.TiffPageSeries) -> bool:
        """Return whether the series is a stack of whole pages, as in all but a few odd files."""
        page = series.keyframe
        leading = series.shape[: len(series.shape) - len(page.shape)]
        return tuple(series.shape[len(leading) :]) == page.shape and math.prod(leading) == len(series.pages)

    def __getitem__(self, window: tuple[slice, ...]) -> np.ndarray:
        spans = [range(*one.indices(n)) for one, n in zip(window, self.shape, strict=True)]
        if all(len(span) == n for span, n in zip(spans, self.shape, strict=True)):
            return self.series.asarray()
        planes, inner = spans[: len(self.leading)], spans[len(self.leading) :]
        numbers = [int(np.ravel_multi_index(at, self.leading)) if at else 0 for at in product(*planes)]
        found = [self._plane(number, inner) for number in numbers]
        return np.stack(found).reshape([len(span) for span in spans])

    def _plane(self, number: int, spans: list[range]) -> np.ndarray:
        """Read a window of a page of shape (separate samples, depth, length, width, contiguous samples)."""
        sizes = self.page.shaped
        box = [range(n) for n in sizes]
        samples = 4 if self.page.planarconfig == tifffile.PLANARCONFIG.CONTIG else 0
        for letter, span in zip(self.page.axes, spans, strict=True):
            box[{"Z": 1, "Y": 2, "X": 3}.get(letter, samples)] = span
        starts, stops = [span.start for span in box], [span.stop for span in box]
        out = np.full([len(span) for span in box], self.page.nodata, self.dtype)
        for index, corner in self._touched(starts, stops):
            segment = self._segment(number, index)
            if segment is None:  # a sparse file: nothing was stored here
                continue
            ends = [c + n for c, n in zip(corner, (1, *segment.shape), strict=True)]
            low = [max(a, c) for a, c in zip(starts, corner, strict=True)]
            high = [min(b, e) for b, e in zip(stops, ends, strict=True)]
            if all(a < b for a, b in zip(low, high, strict=True)):
                into = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, starts, strict=True))
                part = tuple(slice(a - c, b - c) for a, b, c in zip(low, high, corner, strict=True))
                out[into] = segment[None][part]
        return out

    def _touched(self, starts: list[int], stops: list[int]) -> list[tuple[int, tuple[int, ...]]]:
        """Return the number and first pixel of each segment that intersects a box."""
        _, depth, length, width, _ = self.page.shaped
        size = (1, *self._segment_shape())
        counts = [math.ceil(n / s) for n, s in zip((1, depth, length, width), size, strict=True)]
        runs = [range(a // s, math.ceil(b / s)) for a, b, s in zip(starts, stops, size, strict=False)]
        return [
            (
                ((at[0] * counts[1] + at[1]) * counts[2] + at[2]) * counts[3] + at[3],
                (*(i * s for i, s in zip(at, size, strict=True)), 0),
            )
            for at in product(*runs)
        ]

    def _segment_shape(self) -> tuple[int, int, int]:
        """Return depth, length and width of a segment."""
        page = self.page
        if page.is_tiled:
            return page.tiledepth, page.tilelength, page.tilewidth
        return 1, min(page.rowsperstrip, page.imagelength), page.imagewidth

    def _segment(self, number: int, index: int) -> np.ndarray | None:
        """Decode a strip or tile: shape (depth, length, width, samples)."""
        key = (number, index)
        if key in self.cache:
            self.cache.move_to_end(key)
            return self.cache[key]
        page = self.series.pages[number]
        if page is None or not page.databytecounts[index]:
            return None
        # Tags must be read before the seek, because reading them moves the file position.
        offset, size = page.dataoffsets[index], page.databytecounts[index]
        check_size(Path(page.parent.filehandle.path), self._segment_shape(), self.dtype, size)
        tables = (
            {"jpegtables": page.jpegtables, "jpegheader": self.page.jpegheader} if self.page.compression in JPEG else {}
        )
        decode, file = self.page.decode, page.parent.filehandle
        file.seek(offset)
        segment = decode(file.read(size), index, **tables)[0]
        self.cache[key] = segment
        self.cached += segment.nbytes
        while self.cached > _CACHE and len(self.cache) > 1:
            self.cached -= self.cache.popitem(last=False)[1].nbytes
        return segment


class WholePixels:
    """Pixels that can only be decoded as a whole: on first use, then cached."""

    def __init__(self, series: tifffile.TiffPageSeries) -> None:
        self.series, self.shape, self.dtype = series, tuple(series.shape), np.dtype(series.dtype)
        self.pixels: np.ndarray | None = None

    def __getitem__(self, window: tuple[slice, ...]) -> np.ndarray:
        if self.pixels is None:
            check_size(Path(self.series.keyframe.parent.filehandle.path), self.shape, self.dtype)
            self.pixels = self.series.asarray()
        return self.pixels[window]


def series_pixels(tiff: tifffile.TiffFile) -> MappedPixels | SegmentedPixels | WholePixels:
    """Return the pixels of the first series at full resolution, indexed by windows of its stored axes."""
    series = tiff.series[0]
    if series.dataoffset is not None:
        dtype = np.dtype(series.dtype).newbyteorder(tiff.byteorder)
        return MappedPixels(tiff.filehandle.path, dtype, series.shape, series.dataoffset)
    return SegmentedPixels(series) if SegmentedPixels.fits(series) else WholePixels(series)
