"""What a set of masks holds: their values, and objects in pieces, touching, tiny; gathered one mask at a time."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_MOST_VALUES = 65536  # distinct values remembered; labels beyond it count, but are not listed
TINY = 2  # pixels up to which an object is more likely a slip of the hand
_FULL = (255, 65535)  # what drawing tools save for foreground
_MOST_BLUR = 4  # pixels in between for each full one: small objects are blurred all through
_NEAR_EDGE = 2  # pixels over which scaling and anti-aliasing blur an edge
_NEAR_BLOCK = 16  # pixels of a block of JPEG, whose ripples reach no further
_ROUNDING = 0.01  # share of the range by which interpolation misses its ends
_RIPPLE = 0.15  # share of the range that ripples stay within


@dataclass(frozen=True)
class MaskSeen:
    """What is remembered of one mask.

    ``values`` it has; ``share`` of its pixels that are no background (nor ignored); how many ids are ``torn`` into
    pieces, ``touching`` another, and without which number the last one could do (``gaps``); how many connected pieces
    have up to ``TINY`` pixels; ``blurred`` is how many pixels lie between 0 and full where these are on edges only,
    -1 where they are elsewhere, too.
    """

    values: set[int]
    ids: int
    share: float
    pieces: int = 0
    torn: int = 0
    touching: int = 0
    gaps: int = 0
    tiny: int = 0
    blurred: int = 0


def see(values: np.ndarray, ignore: int | None = None, background: int = 0) -> tuple[MaskSeen, np.ndarray, np.ndarray]:
    """Look at one mask.

    Parameters
    ----------
    values
        Integers, shape (*spatial).
    ignore
        Value of pixels to leave out.
    background
        Value of the background.

    Returns
    -------
    seen, found, counts
        What to remember; every value and how many pixels have it.
    """
    from skimage.measure import label

    found, counts = np.unique(values, return_counts=True)
    wanted = ~np.isin(found, [background] if ignore is None else [background, ignore])
    ids, sizes = found[wanted], counts[wanted]
    top = int(found.max(initial=0))
    blurred = 0
    if ignore is None and top in _FULL and len(found) > 2 and background == 0:
        blurred = blurred_pixels(values, top)
    number = pieces = torn = tiny = 0
    if len(ids):
        plain = values if ignore is None else np.where(values == ignore, background, values)
        plain = plain if background == 0 else plain.astype(np.int64) - background
        labels, pieces = label(plain, background=0, connectivity=values.ndim, return_num=True)
        owner = np.zeros(pieces + 1, dtype=np.int64)
        owner[labels] = values
        torn = int((np.unique(owner[1:], return_counts=True)[1] > 1).sum())
        tiny = int((np.bincount(labels.ravel())[1:] <= TINY).sum())
        number = len(ids)
    touching = len(touching_ids(values, ids)) if len(ids) > 1 else 0
    gaps = int(ids.max() - len(ids)) if len(ids) and background == 0 and ids.min() > 0 else 0
    seen = MaskSeen(
        set(found.tolist()), number, float(sizes.sum() / values.size), pieces, torn, touching, gaps, tiny, blurred
    )
    return seen, found, counts


def touching_ids(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The ids that lie side by side with another one."""
    found = []
    for axis in range(values.ndim):
        swapped = values.swapaxes(0, axis)
        met = swapped[:-1] != swapped[1:]
        pairs = np.stack([swapped[:-1][met], swapped[1:][met]])
        found.append(pairs[:, np.isin(pairs, ids).all(axis=0)].ravel())
    return np.unique(np.concatenate(found))


def blurred_pixels(values: np.ndarray, top: int) -> int:
    """How many pixels lie between 0 and ``top``, if that comes from blurred edges alone; else -1.

    Values in between must be near the edge that half of ``top`` gives; ripples, as JPEG makes, may lie a bit further.
    They must be several, so that one value along edges (a class of its own) is not taken for a blur.
    """
    from scipy import ndimage

    slack = round(_ROUNDING * top)
    between = (values > slack) & (values < top - slack)
    if between.sum() > _MOST_BLUR * (values >= top - slack).sum() or len(np.unique(values[between])) < 3:
        return -1
    inside = values > top / 2
    away = np.where(inside, ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside))
    ripple = np.minimum(values, top - values.astype(np.int64)) <= _RIPPLE * top
    explained = np.where(ripple, away <= _NEAR_BLOCK, away <= _NEAR_EDGE)
    return int(between.sum()) if explained[between].all() else -1


@dataclass
class Survey:
    """The values of all masks, gathered one mask at a time."""

    first: dict[int, Path] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    bits: int = 8
    masks: int = 0
    ids: int = 0
    pieces: int = 0
    largest: set[int] = field(default_factory=set)
    seen: list[MaskSeen] = field(default_factory=list)

    def add(self, values: np.ndarray, path: Path, ignore: int | None = None, background: int = 0) -> MaskSeen:
        """Take note of one mask as ``read_mask`` gives it."""
        seen, found, counts = see(values, ignore, background)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            if value in self.counts or len(self.counts) < _MOST_VALUES:
                self.counts[value] = self.counts.get(value, 0) + count
                self.first.setdefault(value, path)
        ids = seen.values - {background, ignore}
        self.masks += 1
        self.bits = max(self.bits, 8 * values.dtype.itemsize)
        self.largest.add(max(ids, default=0))
        self.seen.append(seen)
        if len(ids) > 1:  # a mask of one value says nothing of whether values are objects
            self.ids, self.pieces = self.ids + len(ids), self.pieces + seen.pieces
        return seen

    @property
    def torn(self) -> int:
        """Ids that come in more than one piece."""
        return sum(seen.torn for seen in self.seen if seen.ids > 1)

    @property
    def blurred(self) -> bool:
        """Whether values between 0 and full are there, and on edges only."""
        marks = [seen.blurred for seen in self.seen]
        top = max(self.counts, default=0)
        plain = all(seen.values <= {0, top} for seen in self.seen if not seen.blurred)
        return top in _FULL and plain and any(marks) and min(marks) >= 0
