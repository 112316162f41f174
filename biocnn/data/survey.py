"""Survey of a set of masks: their values, and torn, touching and tiny objects; collected one mask at a time."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_MOST_VALUES = 65536  # distinct values remembered; further labels are counted, but not listed
TINY = 2  # pixels up to which an object is more likely an accidental click
_FULL = (255, 65535)  # foreground values of drawing tools
_MOST_BLUR = 4  # intermediate pixels per full one; small objects may be blurred throughout
_NEAR_EDGE = 2  # pixels over which scaling and anti-aliasing blur an edge
_NEAR_BLOCK = 16  # pixels of a JPEG block, beyond which its ringing does not reach
_ROUNDING = 0.01  # share of the range by which interpolation misses its ends
_RIPPLE = 0.15  # largest amplitude of ringing, as a share of the range
MOST_CLASSES = 32  # most values per mask that may be classes, and whose sizes and positions are remembered
_EXPLAINED = 0.5  # share of the variance of sizes or positions from which they depend on the value
_CHANCE = 0.01  # largest p-value for such a dependence


@dataclass(frozen=True)
class MaskSeen:
    """Properties of one mask.

    ``values`` it contains; ``share`` of its pixels that are neither background nor ignored; number of ids that are
    ``torn`` into pieces or ``touching`` another, and number of unused ids below the largest (``gaps``); number of
    connected pieces of up to ``TINY`` pixels; ``blurred`` is the number of pixels between 0 and full if these are on
    edges only, -1 if they are also elsewhere; all other properties of a blurred mask are those after thresholding at
    half. ``border`` is the share of the image's border pixels that are not background. ``traits`` are the logarithm of
    the size and the centroid, as a fraction of the sides, of each id, for up to ``MOST_CLASSES`` of them.
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
    """Examine one mask; negative values are not ids.

    Parameters
    ----------
    values
        Integers, shape (*spatial).
    ignore
        Value of pixels to exclude.
    background
        Value of the background.

    Returns
    -------
    seen, foreground, counts
        Properties of the mask; its foreground, bool; number of pixels with each value.
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
    """Return the share of the outermost pixels, of the last two axes, that are foreground."""
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
    """Return the ids with a pixel next to another id."""
    found = []
    for axis in range(values.ndim):
        swapped = values.swapaxes(0, axis)
        met = swapped[:-1] != swapped[1:]
        pairs = np.stack([swapped[:-1][met], swapped[1:][met]])
        found.append(pairs[:, np.isin(pairs, ids).all(axis=0)].ravel())
    return np.unique(np.concatenate(found))


def blurred_pixels(values: np.ndarray, top: int) -> int:
    """Return the number of pixels between 0 and ``top`` if blurred edges explain all of them; else -1.

    Intermediate values must be near the edge at half of ``top``; JPEG ringing may reach a bit further. There must be
    several different ones, so that a single value along edges (a class of its own) is not taken for blur.
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
    """The values of all masks, collected one mask at a time. Nothing depends on the bit depth."""

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
        """Add a mask from ``read_mask``; return its properties, and its foreground, bool."""
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
        """Return the number of masks."""
        return len(self.seen)

    @property
    def several(self) -> list[MaskSeen]:
        """Return masks of more than one value besides the background; others do not show whether values are objects."""
        return [seen for seen in self.seen if seen.ids > 1]

    @property
    def ids(self) -> int:
        """Return the number of ids in masks of several, each counted once per mask."""
        return sum(seen.ids for seen in self.several)

    @property
    def pieces(self) -> int:
        """Return the number of connected pieces in masks of several ids."""
        return sum(seen.pieces for seen in self.several)

    @property
    def torn(self) -> int:
        """Return the number of ids in more than one piece."""
        return sum(seen.torn for seen in self.several)

    @property
    def touching(self) -> float:
        """Return the share of ids that touch another."""
        return sum(seen.touching for seen in self.several) / max(self.ids, 1)

    @property
    def blurred(self) -> bool:
        """Whether values between 0 and full exist, and only on edges."""
        marks = [seen.blurred for seen in self.seen]
        top = max(self.counts, default=0)
        plain = all(seen.values <= {0, top} for seen in self.seen if not seen.blurred)
        return top in _FULL and plain and any(marks) and min(marks) >= 0

    def explained(self) -> list[bool]:
        """Test whether size and position along each axis depend on the id, beyond differences between masks.

        They do for classes such as organs, but not for objects, except along one axis if these are numbered along it.
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
            if between < 1e-9 * len(ids):  # no variation
                found.append(False)
                continue
            chance = stats.f.sf((between / free[0]) / max(within / free[1], 1e-300), *free)
            found.append(bool(between > _EXPLAINED * (between + within) and chance < _CHANCE))
        return found
