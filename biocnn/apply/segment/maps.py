"""The maps of one image: the mean of several models, and windows of them that share what was predicted."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise, product
from math import prod

import numpy as np

from biocnn.prediction.images import Maps, MapsOnGrid
from biocnn.prediction.tiles import Slices, common, inside

Cuts = list[list[tuple[int, int]]]  # for each axis, start and stop of each of its parts


class MeanMaps:
    """The mean of what models say of one image, (K, *spatial); two predictions of a region are held at most."""

    def __init__(self, each: Sequence[Maps | MapsOnGrid]) -> None:
        self._each, self.zoom = each, each[0].zoom
        self.notes = list(dict.fromkeys(note for maps in each for note in maps.notes))
        self.shape = each[0].shape
        self.regions = max((maps.regions for maps in each), key=len)  # those that the largest network has room for

    def region(self, region: Slices) -> np.ndarray:
        """Shape (K, *region), float32."""
        total = self._each[0].region(region)
        for maps in self._each[1:]:
            total += maps.region(region)
        return total / len(self._each) if len(self._each) > 1 else total


class KeptMaps:
    """Windows of an image's maps; what was predicted for one of them is kept while another one needs it.

    Parameters
    ----------
    maps
        What is predicted, one of its regions at a time.
    starts
        Along each axis, where the windows start that will be read in reading order. Larger ones may be read in between.
    limit
        Bytes to keep. Beyond, what no window in that order needs any more is dropped, then what some do, which is
        predicted once more.
    """

    def __init__(self, maps: MeanMaps, starts: Sequence[Sequence[int]], limit: float) -> None:
        self._maps, self._starts, self._limit = maps, starts, limit
        self._cuts = cuts(maps.regions)
        self._index = (-1,) * len(starts)
        self._pieces: dict[tuple[tuple[int, int], ...], list[tuple[Slices, np.ndarray]]] = {}

    def read(self, window: Slices) -> np.ndarray:
        """The maps of a window: (K, *window), float32."""
        out = np.empty((self._maps.shape[0], *(part.stop - part.start for part in window)), np.float32)
        along = [
            [c for c in cut if c[0] < w.stop and c[1] > w.start] for cut, w in zip(self._cuts, window, strict=True)
        ]
        for bounds in product(*along):
            region = tuple(slice(*bound) for bound in bounds)
            for place, piece in self._covering(region, common(region, window)):
                both = common(place, window)
                if all(part.start < part.stop for part in both):
                    out[:, *inside(both, window)] = piece[:, *inside(both, place)]
        return out

    def passed(self, index: tuple[int, ...]) -> None:
        """The window of this index, a number for each axis, and all before it were read."""
        self._index = index
        self._make_room()

    def _covering(self, region: Slices, wanted: Slices) -> list[tuple[Slices, np.ndarray]]:
        """Pieces of a region that together hold what is wanted."""
        pieces = self._pieces.get(_key(region), [])
        touching = [(place, piece) for place, piece in pieces if _volume(common(place, wanted)) > 0]
        if sum(_volume(common(place, wanted)) for place, _ in touching) == _volume(wanted):
            return touching
        pieces = self._split(region, self._maps.region(region))
        self._pieces[_key(region)] = pieces
        self._make_room()
        return pieces

    def _make_room(self) -> None:
        """Drop what no window to come needs, the oldest first, then what some will, until the rest fits."""
        for needed in (False, True):
            for key in list(self._pieces):
                if self._held() <= self._limit:
                    return
                self._pieces[key] = [] if needed else [p for p in self._pieces[key] if self._last(p[0]) > self._index]
                if not self._pieces[key]:
                    del self._pieces[key]

    def _split(self, region: Slices, maps: np.ndarray) -> list[tuple[Slices, np.ndarray]]:
        """Cut maps where windows start: what the next ones need lies at the far ends."""
        along = []
        for part, starts in zip(region, self._starts, strict=True):
            edges = [part.start, *(s for s in starts if part.start < s < part.stop), part.stop]
            along.append([slice(a, b) for a, b in pairwise(edges)])
        return [(place, maps[:, *inside(place, region)].copy()) for place in product(*along)]

    def _last(self, place: Slices) -> tuple[int, ...]:
        """Index of the last window that touches a place."""
        return tuple(bisect_left(starts, part.stop) - 1 for starts, part in zip(self._starts, place, strict=True))

    def _held(self) -> int:
        return sum(piece.nbytes for pieces in self._pieces.values() for _, piece in pieces)


def cuts(regions: Sequence[Slices]) -> Cuts:
    """The parts of each axis that the regions of a grid have."""
    return [sorted({(part.start, part.stop) for part in along}) for along in zip(*regions, strict=True)]


def _key(region: Slices) -> tuple[tuple[int, int], ...]:
    return tuple((part.start, part.stop) for part in region)


def _volume(region: Slices) -> int:
    return prod(max(0, part.stop - part.start) for part in region)
