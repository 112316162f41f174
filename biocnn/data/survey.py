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
MOST_CLASSES = 32  # values of one mask whose sizes and places are remembered, and that may be classes
_EXPLAINED = 0.5  # share of the variance of sizes, or of places, from which they depend on the value
_CHANCE = 0.01  # probability up to which that is no chance


@dataclass(frozen=True)
class MaskSeen:
    """What is remembered of one mask.

    ``values`` it has; ``share`` of its pixels that are no background (nor ignored); how many ids are ``torn`` into
    pieces, ``touching`` another, and without which number the last one could do (``gaps``); how many connected pieces
    have up to ``TINY`` pixels; ``blurred`` is how many pixels lie between 0 and full where these are on edges only,
    -1 where they are elsewhere, too; of a blurred mask all else is said as if it were thresholded at half. ``border``
    is the share of the pixels of the image's border that are no background. ``traits`` are the logarithm of the size
    and the centroid, as a share of the sides, of each id, up to ``MOST_CLASSES`` of them.
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
    border: float = 0.0
    traits: dict[int, np.ndarray] = field(default_factory=dict)


def see(
    values: np.ndarray, ignore: int | None = None, background: int = 0
) -> tuple[MaskSeen, np.ndarray, dict[int, int]]:
    """Look at one mask; negative values are no ids.

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
    seen, foreground, counts
        What to remember; where something is, bool; how many pixels have each value.
    """
    from skimage.measure import label

    found, counts = np.unique(values, return_counts=True)
    top = int(found.max(initial=0))
    blurred = 0
    if ignore is None and top in _FULL and len(found) > 2 and background == 0:
        blurred = blurred_pixels(values, top)
    plain = np.where(values > top / 2, top, 0) if blurred > 0 else values
    left_out = plain < 0 if ignore is None else (plain < 0) | (plain == ignore)
    if left_out.any():
        plain = np.where(left_out, background, plain)
    foreground = plain != background
    ids = found[(found >= 0) & (found != background) & (found != (background if ignore is None else ignore))]
    ids = ids[ids == top] if blurred > 0 else ids
    pieces = torn = tiny = 0
    traits: dict[int, np.ndarray] = {}
    if len(ids):
        shifted = plain if background == 0 else plain.astype(np.int64) - background
        labels, pieces = label(shifted, background=0, connectivity=values.ndim, return_num=True)
        owner = np.zeros(pieces + 1, dtype=np.int64)
        owner[labels] = plain
        torn = int((np.unique(owner[1:], return_counts=True)[1] > 1).sum())
        tiny = int((np.bincount(labels.ravel())[1:] <= TINY).sum())
        if 1 < len(ids) <= MOST_CLASSES:
            traits = _traits(plain, foreground, ids)
    seen = MaskSeen(
        set(found.tolist()),
        len(ids),
        float(foreground.mean()) if foreground.size else 0.0,
        pieces,
        torn,
        len(touching_ids(plain, ids)) if len(ids) > 1 else 0,
        int(ids.max() - len(ids)) if len(ids) and background == 0 else 0,
        tiny,
        blurred,
        _border(foreground),
        traits,
    )
    return seen, foreground, dict(zip(found.tolist(), counts.tolist(), strict=True))


def _border(foreground: np.ndarray) -> float:
    """Share of the outermost pixels, of the last two axes, that are foreground."""
    edges = [foreground[..., [0, -1], :].ravel(), foreground[..., [0, -1]].ravel()] if foreground.size else [foreground]
    return float(np.concatenate(edges).mean()) if foreground.size else 0.0


def _traits(values: np.ndarray, foreground: np.ndarray, ids: np.ndarray) -> dict[int, np.ndarray]:
    number = np.searchsorted(ids, values[foreground])
    sizes = np.bincount(number)
    middles = [
        np.bincount(number, places) / sizes / n for places, n in zip(np.nonzero(foreground), values.shape, strict=True)
    ]
    return dict(zip(ids.tolist(), np.column_stack([np.log(sizes), *middles]), strict=True))


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
    """The values of all masks, gathered one mask at a time. Nothing depends on how many bits they are stored in."""

    first: dict[int, Path] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    seen: list[MaskSeen] = field(default_factory=list)
    opposed: dict[Path, tuple[int, ...]] = field(default_factory=dict)

    def add(
        self,
        values: np.ndarray,
        path: Path,
        ignore: int | None = None,
        background: int = 0,
        opposed: tuple[int, ...] = (),
    ) -> tuple[MaskSeen, np.ndarray]:
        """Take note of one mask as ``read_mask`` gives it; what is remembered, and where something is, bool."""
        seen, foreground, counts = see(values, ignore, background)
        for value, count in counts.items():
            if value in self.counts or len(self.counts) < _MOST_VALUES:
                self.counts[value] = self.counts.get(value, 0) + count
                self.first.setdefault(value, path)
        self.seen.append(seen)
        if opposed:
            self.opposed[path] = opposed
        return seen, foreground

    @property
    def masks(self) -> int:
        """Number of masks."""
        return len(self.seen)

    @property
    def several(self) -> list[MaskSeen]:
        """Masks of more than one value beside the background; others say nothing of whether values are objects."""
        return [seen for seen in self.seen if seen.ids > 1]

    @property
    def ids(self) -> int:
        """Ids in masks of several, each counted once in each mask."""
        return sum(seen.ids for seen in self.several)

    @property
    def pieces(self) -> int:
        """Connected pieces in masks of several ids."""
        return sum(seen.pieces for seen in self.several)

    @property
    def torn(self) -> int:
        """Ids that come in more than one piece."""
        return sum(seen.torn for seen in self.several)

    @property
    def touching(self) -> float:
        """Share of the ids that touch another."""
        return sum(seen.touching for seen in self.several) / max(self.ids, 1)

    @property
    def blurred(self) -> bool:
        """Whether values between 0 and full are there, and on edges only."""
        marks = [seen.blurred for seen in self.seen]
        top = max(self.counts, default=0)
        plain = all(seen.values <= {0, top} for seen in self.seen if not seen.blurred)
        return top in _FULL and plain and any(marks) and min(marks) >= 0

    def explained(self) -> list[bool]:
        """Whether the size, and the place along each axis, depend on the id, beyond what differs from mask to mask.

        Of objects they do not, but for one axis along which they were numbered; of classes, organs say, they do.
        """
        from scipy import stats

        seen = [one.traits for one in self.several if one.traits]
        if len(seen) < 2:
            return []
        ids = np.concatenate([list(traits) for traits in seen])
        values = np.concatenate([(t := np.stack(list(traits.values()))) - t.mean(axis=0) for traits in seen])
        groups = np.unique(ids, return_inverse=True)[1]
        count = np.bincount(groups)
        free = (len(count) - 1, len(ids) - len(count))
        if min(free) < 1:
            return []
        found = []
        for trait in values.T:
            mean = np.bincount(groups, trait) / count
            between, within = float(count @ mean**2), float(((trait - mean[groups]) ** 2).sum())
            if between < 1e-9 * len(ids):  # all alike
                found.append(False)
                continue
            chance = stats.f.sf((between / free[0]) / max(within / free[1], 1e-300), *free)
            found.append(bool(between > _EXPLAINED * (between + within) and chance < _CHANCE))
        return found
