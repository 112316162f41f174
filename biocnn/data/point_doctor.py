"""The doctor of points: it drops or refuses them, and lists images to inspect; and the width of a point's density."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.appearance import measure_appearance
from biocnn.data.box_doctor import refuse_outside
from biocnn.data.box_files import POINT
from biocnn.tasks.facts import Decision

SHARE = 0.3  # width of a density, as a share of the distance between neighbours
_WIDTHS = (1.0, 16.0)  # bounds of the width, in pixels
_TRIED = 12  # square images that are searched for swapped coordinates
_TWICE, _CLEAR = 2.0, 0.25  # factor, and standard deviations of the image, by which swapped points must fit better


def clean_points(points: pd.DataFrame, examples: pd.DataFrame, checks: Checks, source: str) -> pd.DataFrame:
    """Drop repeated points and refuse impossible ones.

    Parameters
    ----------
    points
        Columns image, label, ignored, where, y and x; as ``biocnn.data.box_files.of_objects`` returns them, with pixels
        counted from 0: a point of the pixel in row i has y from i to below i + 1.
    examples
        Images with the columns image, id, height and width.
    checks
        Receives counts of what was dropped, and the images with it.
    source
        Name of the data, for the counts.

    Returns
    -------
    points
        Those that are kept, with their pixel in the columns row and column.

    Raises
    ------
    InputError
        If coordinates are fractions, rows and columns are swapped, or a point is outside its image.
    """
    of = examples.set_index("image").loc[points["image"]]
    sizes, places = of[["height", "width"]].to_numpy(int), points[POINT].to_numpy()
    if len(places) and places.max() <= 1 and (places % 1 > 0).any():
        raise InputError(
            f"{source}: all {len(places)} points have coordinates up to 1: shares of the image's width and height?",
            "give pixels: multiply x by the width and y by the height",
        )
    pixels = np.floor(places).astype(int)
    _refuse_counted_from_1(pixels, sizes, source)
    refuse_outside(points, np.concatenate([pixels, pixels + 1], axis=1), sizes, "points")
    points = points.assign(row=pixels[:, 0], column=pixels[:, 1], id=of["id"].to_numpy())

    def record(outcome: str, reason: str, which: pd.Series, severity: str) -> None:
        checks.add(source, outcome, reason, which.sum(), "".join(points["where"][which][:1]))
        for name, number in points["id"][which].value_counts(sort=False).items():
            checks.find(reason, severity, name, plural(number, "point"))

    record("dropped", "points marked as difficult: not counted", points["ignored"], "repaired")
    points = points[~points["ignored"]]
    again = points.duplicated(["image", "label", *POINT])
    record("dropped", "points at the same place as another of the same class", again, "repaired")
    points = points[~again]
    shared = points.duplicated(["image", "row", "column"])
    record("note", "points in the same pixel as another: two objects, or one that was marked twice?", shared, "look")
    return points


def _refuse_counted_from_1(pixels: np.ndarray, sizes: np.ndarray, source: str) -> None:
    """Refuse points of which none is in pixel 0 but some are one beyond the last pixel."""
    beyond = (pixels == sizes).any(axis=1)
    if beyond.any() and (pixels >= 1).all() and (pixels <= sizes).all():
        raise InputError(
            f"{source}: {beyond.sum()} of {len(pixels)} points are one pixel beyond their image, and none is in pixel "
            "0: are pixels counted from 1?",
            "then set data.origin: 1",
        )


def note_swapped(
    points: pd.DataFrame, examples: pd.DataFrame, pixels: Callable[[int], np.ndarray], checks: Checks, source: str
) -> None:
    """Note points that fit square images much better if x and y are swapped.

    Parameters
    ----------
    points
        From ``clean_points``.
    examples
        Images with the columns image, height and width.
    pixels
        Returns an image (C, height, width) by its row in ``examples``.
    checks, source
        As for ``clean_points``.
    """
    rows = np.flatnonzero((examples["height"] == examples["width"]) & examples["image"].isin(points["image"]))[:_TRIED]
    found = []
    for row in rows:
        own = points[points["image"] == examples["image"].iloc[row]]
        marked = np.zeros(examples[["height", "width"]].iloc[row].astype(int), bool)
        marked[own["row"], own["column"]] = True
        image = pixels(row)
        found.append([abs(measure_appearance(image, place).agreement) for place in (marked, marked.T)])
    if not found:
        return
    given, swapped = np.median(found, axis=0)
    if swapped > _TWICE * given + _CLEAR:
        reason = "points that stand out from their images only if x and y are swapped: x counts columns, y rows"
        checks.add(source, "note", reason, len(points), points["where"].iloc[0])


def compare_counts(points: pd.DataFrame, examples: pd.DataFrame, checks: Checks, source: str) -> None:
    """Name images whose number of points differs from the column count of their table, if there is one."""
    if "count" not in examples:
        return
    stated = pd.to_numeric(examples["count"], errors="coerce")
    number = examples["image"].map(points["image"].value_counts()).fillna(0)
    differ = stated.notna() & (stated != number)
    reason = "images whose column count differs from the number of points, which is used"
    checks.add(source, "note", reason, differ.sum(), "".join(examples["id"][differ][:1]))
    for name, one, other in zip(examples["id"][differ], stated[differ], number[differ], strict=True):
        checks.find(reason, "look", name, f"count {one:g}, but {other:g} points")


def decide_width(points: pd.DataFrame, given: float | None) -> Decision:
    """Decide the standard deviation of the density around a point, in pixels."""
    from scipy.spatial import cKDTree

    if given is not None:
        return Decision(value=given, reason="given: data.width")
    places = [part[POINT].to_numpy() for _, part in points.groupby("image", sort=False) if len(part) > 1]
    if not places:
        return Decision(value=2.0, reason="no image has two points, between which a distance could be measured")
    nearest = float(np.median(np.concatenate([cKDTree(one).query(one, 2)[0][:, 1] for one in places])))
    low, high = _WIDTHS
    why = f"{SHARE:g} of the median distance between nearest points, {nearest:.1f} px; {low:g} to {high:g} px"
    return Decision(value=round(float(np.clip(SHARE * nearest, low, high)), 2), reason=why)
