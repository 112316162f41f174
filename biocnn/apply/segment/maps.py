"""Maps of one image: the mean over models, and a cache of predictions for overlapping windows."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise, product
from math import prod

import numpy as np

from biocnn.io.stored_image import Slices
from biocnn.prediction.images import Maps, MapsOnGrid
from biocnn.prediction.tiles import common, inside

Cuts = list[list[tuple[int, int]]]  # start and stop of each part of each axis


class MeanMaps:
    """The mean prediction of models for one image, (K, *spatial); holds at most two predictions of a region."""

    def __init__(self, each: Sequence[Maps | MapsOnGrid]) -> None:
        self._each, self.zoom = each, each[0].zoom
        self.notes = list(dict.fromkeys(note for maps in each for note in maps.notes))
        self.shape = each[0].shape
        self.regions = max((maps.regions for maps in each), key=len)  # those that fit for the largest network

    def region(self, region: Slices) -> np.ndarray:
        """Predict a region: shape (K, *region), float32."""
        total = self._each[0].region(region)
        for maps in self._each[1:]:
            total += maps.region(region)
        return total / len(self._each) if len(self._each) > 1 else total


class KeptMaps:
    """Windows of the maps of an image; predictions are kept while other windows need them.

    Parameters
    ----------
    maps
        Maps, predicted one region at a time.
    starts
        Starts, along each axis, of the windows that will be read in reading order. Larger windows may be read between.
    limit
        Number of bytes to keep. Beyond it, predictions that no later window needs are dropped first, then others, which
        are predicted again when needed.
    """

    def __init__(self, maps: MeanMaps, starts: Sequence[Sequence[int]], limit: float) -> None:
        self._maps, self._starts, self._limit = maps, starts, limit
        self._cuts = cuts(maps.regions)
        self._index = (-1,) * len(starts)
        self._pieces: dict[tuple[tuple[int, int], ...], list[tuple[Slices, np.ndarray]]] = {}

    def read(self, window: Slices) -> np.ndarray:
        """Return the maps of a window: (K, *window), float32."""
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
        """Mark the window of this index, one number per axis, and all before it as read."""
        self._index = index
        self._make_room()

    def _covering(self, region: Slices, wanted: Slices) -> list[tuple[Slices, np.ndarray]]:
        """Return pieces of a region that together cover the wanted part."""
        pieces = self._pieces.get(_key(region), [])
        touching = [(place, piece) for place, piece in pieces if _volume(common(place, wanted)) > 0]
        if sum(_volume(common(place, wanted)) for place, _ in touching) == _volume(wanted):
            return touching
        pieces = self._split(region, self._maps.region(region))
        self._pieces[_key(region)] = pieces
        self._make_room()
        return pieces

    def _make_room(self) -> None:
        """Drop pieces that no later window needs, oldest first, then others, until the rest fits."""
        for needed in (False, True):
            for key in list(self._pieces):
                if self._held() <= self._limit:
                    return
                self._pieces[key] = [] if needed else [p for p in self._pieces[key] if self._last(p[0]) > self._index]
                if not self._pieces[key]:
                    del self._pieces[key]

    def _split(self, region: Slices, maps: np.ndarray) -> list[tuple[Slices, np.ndarray]]:
        """Cut maps where windows start, because later windows need only the parts at the far ends."""
        along = []
        for part, starts in zip(region, self._starts, strict=True):
            edges = [part.start, *(s for s in starts if part.start < s < part.stop), part.stop]
            along.append([slice(a, b) for a, b in pairwise(edges)])
        return [(place, maps[:, *inside(place, region)].copy()) for place in product(*along)]

    def _last(self, place: Slices) -> tuple[int, ...]:
        """Return the index of the last window that overlaps a place."""
        return tuple(bisect_left(starts, part.stop) - 1 for starts, part in zip(self._starts, place, strict=True))

    def _held(self) -> int:
        return sum(piece.nbytes for pieces in self._pieces.values() for _, piece in pieces)


def cuts(regions: Sequence[Slices]) -> Cuts:
    """Return the parts of each axis that a grid of regions consists of."""
    return [sorted({(part.start, part.stop) for part in along}) for along in zip(*regions, strict=True)]


def _key(region: Slices) -> tuple[tuple[int, int], ...]:
    return tuple((part.start, part.stop) for part in region)


def _volume(region: Slices) -> int:
    return prod(max(0, part.stop - part.start) for part in region)
