"""The data doctor: problems in a set of images, with masks or labels, to look at before training.

Safe repairs are already made at this point (and counted in checks.tsv); here problems are reported image by image.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.data.appearance import SATURATED, contradicting, minority_polarity, outliers, unusual
from biocnn.data.duplicates import alike
from biocnn.data.image_sets import Seen
from biocnn.data.masks import IGNORE, MaskCode
from biocnn.data.raw import Raw
from biocnn.data.survey import TINY
from biocnn.io.tile_names import of_examples
from biocnn.tasks import make_task

SHOWN = 6  # thumbnails per kind of finding
SIDE = 160  # side of a thumbnail, in pixels
_UNLIKE = 0.5  # correlation of thumbnails below which target and image may not belong together
_FULL = 0.99  # share of foreground from which a mask is as uninformative as an empty one
_MOSTLY = 0.5  # share of foreground, and
_NEARLY = 0.8  # share of border pixels in the foreground, and of masks, from which masks look inverted
_COMMON = 0.5  # share of images above which a trait is typical of the data, and not reported per image


def examine(
    examples: pd.DataFrame,
    seen: list[Seen],
    checks: Checks,
    source: str,
    code: MaskCode | None = None,
    labels: np.ndarray | None = None,
) -> None:
    """Search for problems and record the findings.

    Parameters
    ----------
    examples
        Columns id, and optionally split and group.
    seen
        Properties of each image.
    checks
        Receives a count for each kind of finding, and each image with it.
    source
        Name of the data, for the counts.
    code
        Meaning of the mask values, for images with masks.
    labels
        Labels of each image, (N, K), for images with labels; nan: unknown.
    """
    ids = examples["id"].tolist()
    for finding, severity, details, *count in _of_images(seen, code):
        outcome = "repaired" if severity == "repaired" else "note"
        rows = [row for row, detail in enumerate(details) if detail]
        common = len(rows) > _COMMON * len(seen) and severity != "repaired" and len(seen) >= 5
        reason = f"{finding}: common in these images, so they are not listed" if common else finding
        checks.add(source, outcome, reason, *count or [len(rows)], ids[rows[0]] if rows else "")
        for row in rows if not common else ():
            checks.find(finding, severity, ids[row], details[row])
    for finding, rows, detail in _of_set(seen, code) if code else ():
        checks.add(source, "note", finding, len(rows), ids[rows[0]])
        for row in rows[:SHOWN]:
            checks.find(finding, "look", ids[row], detail)
    if code and code.objects:
        _count_objects(seen, checks, source)
    _tiles(examples, checks, source)
    _doubles(examples, seen, labels, checks, source)


def examine_targets(
    examples: pd.DataFrame, pairs: Sequence[tuple[Seen, Seen | None]], checks: Checks, source: str
) -> None:
    """Search pairs of images and targets for problems, and record the findings; other parameters as in ``examine``.

    ``pairs`` are the images and targets of all examples; None: without a target.
    """
    examples = examples[[target is not None for _, target in pairs]]
    seen, targets = [image for image, target in pairs if target], [target for _, target in pairs if target]
    ids, first = examples["id"].tolist(), {}
    same = [(first.setdefault(target.digest, row), row) for row, target in enumerate(targets)]
    columns = [examples[column].tolist() for column in ("split", "group") if column in examples]
    cut = [(i, j) for i, j in same if any(values[i] != values[j] for values in columns)]
    _report(examples, cut, checks, source, "targets with the same pixels as another's, in another group", "same target")
    likeness = np.array([(a.appearance.small * b.appearance.small).sum() for a, b in zip(seen, targets, strict=True)])
    apart = outliers(-likeness, _UNLIKE) & (likeness < _UNLIKE)
    equal = [a.digest == b.digest for a, b in zip(seen, targets, strict=True)]
    for finding, flags in (
        ("targets unlike their images: do they belong to others?", apart),
        ("targets with the same pixels as their images", equal),
    ):
        rows = np.flatnonzero(flags)
        checks.add(source, "note", finding, len(rows), *(ids[row] for row in rows[:1]))
        for row in rows:
            checks.find(finding, "look", ids[row], f"correlation {likeness[row]:.2f}")


def _of_masks(seen: list[Seen], code: MaskCode) -> Iterator[tuple]:
    """Yield findings on masks, as ``_of_images`` does."""
    masks = [s.mask for s in seen if s.mask]
    if code.blurred:
        details = [f"{m.blurred} intermediate pixels" if m.blurred else "" for m in masks]
        yield (
            "masks with blurred edges: pixels assigned to the nearer of the two classes",
            "repaired",
            details,
        )
    yield "masks without foreground", "look", ["no pixel" if not m.ids else "" for m in masks]
    full = [f"{m.share:.1%} of the pixels" if m.share >= _FULL else "" for m in masks]
    yield "masks that are all foreground", "look", full
    what = "objects" if code.objects else "specks"
    tiny = [plural(m.tiny, what.removesuffix("s")) if m.tiny else "" for m in masks]
    yield f"{what} of {TINY} pixels or fewer", "look", tiny, sum(m.tiny for m in masks)
    if code.objects:
        torn = [f"{m.torn} of {plural(m.ids, 'object')}" if m.torn else "" for m in masks]
        yield "objects in more than one piece, kept unchanged", "look", torn, sum(m.torn for m in masks)
    opposed = contradicting(np.array([s.appearance.agreement for s in seen]))
    details = [
        f"foreground {s.appearance.agreement:+.1f} sd" if flag else "" for s, flag in zip(seen, opposed, strict=True)
    ]
    yield "masks that contradict their images: do they belong to others?", "look", details


def _of_images(seen: list[Seen], code: MaskCode | None) -> Iterator[tuple]:
    """Yield each kind of finding, its severity, and a detail per image, empty if there is none.

    A fourth entry is the count, if it is not that of images.
    """
    if code:
        yield from _of_masks(seen, code)
    appearances = [s.appearance for s in seen]
    for finding, flags in unusual(appearances).items():
        details = [
            f"median {a.middle:g}, contrast {a.contrast:g}" if flag else ""
            for a, flag in zip(appearances, flags, strict=True)
        ]
        yield finding, "look", details
    details = [f"{a.brightest:.0%} of the pixels" if a.brightest >= SATURATED else "" for a in appearances]
    yield f"at least {SATURATED:.0%} of the pixels are saturated", "look", details
    sizes = Counter(s.spacing for s in seen)
    usual = sizes.most_common(1)[0][0]
    details = [f"{_size(s.spacing)}, most have {_size(usual)}" if s.spacing != usual else "" for s in seen]
    yield "pixel size differs from that of the other images", "look", details


def _of_set(seen: list[Seen], code: MaskCode) -> Iterator[tuple[str, list[int], str]]:
    """Yield problems that affect most of the images or masks: finding, rows, and a detail."""
    if len(code.outputs) == 1:
        marked = [row for row, s in enumerate(seen) if s.mask.ids]
        inverted = [row for row in marked if seen[row].mask.share > _MOSTLY and seen[row].mask.border > _NEARLY]
        if len(inverted) > _NEARLY * len(marked):
            share = np.mean([seen[row].mask.share for row in inverted])
            detail = f"foreground covers {share:.0%} of the pixels, and nearly all of the image's border"
            yield "masks that look inverted, with foreground and background swapped, in the whole set", inverted, detail
    darker = minority_polarity(np.array([s.appearance.agreement for s in seen]))
    if darker.any():
        rows = np.flatnonzero(darker).tolist()
        usual = "brighter" if seen[rows[0]].appearance.agreement < 0 else "darker"
        detail = f"foreground is {usual} than the rest in most images, but not in these"
        yield "images of the opposite polarity: inverted, or with another stain?", rows, detail


def _tiles(examples: pd.DataFrame, checks: Checks, source: str) -> None:
    """Report images that are pieces of one slide according to their names, unless a group keeps these together."""
    found = of_examples(examples)
    if found is None:
        return
    ids = examples["id"].tolist()
    of = pd.Series(found.names)
    first = of[of.duplicated(keep=False)].index[0]
    shown = ids[first], ids[of.index[of == of[first]][1]]
    across = examples["split"].groupby(of.to_numpy()).nunique().gt(1) if "split" in examples else None
    if across is not None and not across.any():
        return
    finding = f"images that are pieces of {of.nunique()} wholes by their names, but each is its own group"
    detail = f"{shown[0]} and {shown[1]} are from {of[first]}: set data.group: {found.pattern!r}, or add a column group"
    checks.add(source, "note", finding, len(ids), detail)
    checks.find(finding, "look" if across is None else "leak", shown[0], detail)


def _size(spacing: tuple[float, ...] | None) -> str:
    return " x ".join(f"{size:g}" for size in spacing) if spacing else "none given"


def _count_objects(seen: list[Seen], checks: Checks, source: str) -> None:
    masks, total = [s.mask for s in seen], sum(s.mask.ids for s in seen)
    checks.add(source, "note", f"objects that touch another, of {total:,}", sum(m.touching for m in masks))
    checks.add(source, "note", "masks whose ids have gaps: harmless", sum(m.gaps > 0 for m in masks))


def _doubles(examples: pd.DataFrame, seen: list[Seen], labels: np.ndarray | None, checks: Checks, source: str) -> None:
    """Report images with the same pixels and near-duplicates; those in different splits or groups are leaks."""
    first: dict[str, int] = {}
    same = [(first.setdefault(s.digest, row), row) for row, s in enumerate(seen)]
    same = [pair for pair in same if pair[0] != pair[1]]
    near = [
        (i, j) for i, j, _ in alike(np.stack([s.appearance.small for s in seen])) if seen[i].digest != seen[j].digest
    ]  # fmt: skip
    for pairs, relation in ((same, "same pixels"), (near, "look alike")):
        what = "with the same pixels as another" if pairs is same else "that look like another, possibly rotated"
        _report(examples, pairs, checks, source, f"images {what}", relation)
    if labels is not None:
        _contradictions(examples["id"].tolist(), same, labels, checks, source)


def _contradictions(
    ids: list[str], same: list[tuple[int, int]], labels: np.ndarray, checks: Checks, source: str
) -> None:
    """Report images with the same pixels whose labels, where both are known, differ."""
    finding = "contradiction: the same pixels with different labels"
    found = [(i, j) for i, j in same if (np.abs(labels[i] - labels[j]) > 0).any()]
    checks.add(source, "note", finding, len({row for pair in found for row in pair}), _shown(found, ids))
    for i, j in found:
        checks.find(finding, "look", ids[j], f"same pixels: {ids[i]}")


def _report(
    examples: pd.DataFrame, pairs: list[tuple[int, int]], checks: Checks, source: str, reason: str, relation: str
) -> None:
    ids = examples["id"].tolist()
    checks.add(source, "note", reason, len({row for pair in pairs for row in pair}), _shown(pairs, ids))
    leaks = set()
    for column in ("split", "group"):
        if column in examples:
            values = examples[column].tolist()
            cut = [pair for pair in pairs if values[pair[0]] != values[pair[1]]]
            rows = len({row for pair in cut for row in pair})
            checks.add(source, "note", f"leak: {relation} in different {column}s", rows, _shown(cut, ids))
            leaks |= set(cut) if column == "split" or "split" not in examples else set()
    for i, j in pairs:
        # Report the second image, because a copy usually comes after its original.
        checks.find(reason, "leak" if (i, j) in leaks else "look", ids[j], f"{relation}: {ids[i]}")


def _shown(pairs: list[tuple[int, int]], ids: list[str]) -> str:
    return f"{ids[pairs[0][0]]} = {ids[pairs[0][1]]}" if pairs else ""


def write_checks(raw: Raw, checks: Checks, out: Path, folder: Path | None) -> None:
    """Write checks.tsv and, if a folder is given, the findings."""
    with atomic(out) as path:
        checks.frame().to_csv(path, sep="\t", index=False)
    if folder:
        with atomic(folder) as path:
            write_findings(raw, checks, path)


def write_findings(raw: Raw, checks: Checks, folder: Path) -> None:
    """Write findings.tsv, and thumbnails.npz with the first few images of each kind of finding.

    Parameters
    ----------
    raw
        Examples as read.
    checks
        Checks after reading them.
    folder
        Created. thumbnails.npz has ``ids``, ``images`` (N, SIDE, SIDE, 3), white around the image, and ``masks``
        (N, SIDE, SIDE), 0 or 1; both uint8. Volumes are shown by their middle slice. If targets are boxes in planes,
        ``boxes`` (M, 6), float32, has the number of the thumbnail, the label, and the corners in its pixels.
    """
    folder.mkdir(parents=True)
    findings = checks.findings_frame()
    findings.to_csv(folder / "findings.tsv", sep="\t", index=False)
    wanted = findings.groupby("finding", sort=False).head(SHOWN)["id"].drop_duplicates()
    places = {str(name): row for row, name in enumerate(raw.examples["id"])}
    shown = [_thumbnail(raw.x(places[name]), _foreground(raw, places[name])) for name in wanted]
    images = np.stack([image for image, _ in shown]) if shown else np.zeros((0, SIDE, SIDE, 3), np.uint8)
    masks = np.stack([mask for _, mask in shown]) if shown else np.zeros((0, SIDE, SIDE), np.uint8)
    stored = {"ids": np.array(wanted, dtype=str), "images": images, "masks": masks}
    if make_task(raw.facts).detects and raw.facts.spatial_dims == 2:
        boxes = [np.insert(_boxes(raw, places[name]), 0, number, axis=1) for number, name in enumerate(wanted)]
        stored["boxes"] = np.concatenate([np.zeros((0, 6), np.float32), *boxes])
    np.savez_compressed(folder / "thumbnails.npz", **stored)


def _foreground(raw: Raw, row: int) -> np.ndarray:
    """Return where a mask has an object or a class; ignored pixels do not count, other targets have no foreground."""
    task = make_task(raw.facts)
    if not task.target.labelled:
        return np.zeros(raw.x(row).shape[1:], bool)
    y = raw.truth(row)
    return (y > 0) & (task.objects | (y != IGNORE))


def _boxes(raw: Raw, row: int) -> np.ndarray:
    """Return label and corners of the boxes in an image, in pixels of its thumbnail: shape (M, 5)."""
    step, larger = _zoom(raw.x(row).shape[1:])
    return raw.truth(row) * np.array([1, *[larger / step] * 4], np.float32)


def _zoom(shape: Sequence[int]) -> tuple[int, int]:
    """Return the pixels of an image per pixel of its thumbnail, and the pixels of the thumbnail per pixel."""
    step = max(1, -(-max(shape) // SIDE))
    return step, max(1, SIDE // max(shape))  # whole, so that every pixel of a small image is seen


def _thumbnail(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the image in grey or its first three channels, stretched over its own range; and the mask alike.

    Larger images are reduced to SIDE pixels, smaller ones enlarged by a whole factor.
    """
    if y.ndim == 3:
        x, y = x[:, x.shape[1] // 2], y[len(y) // 2]
    step, larger = _zoom(y.shape)
    x, y = x[:, ::step, ::step].astype(np.float32), y[::step, ::step]
    x = x[:3] if len(x) >= 3 else x[:1].repeat(3, axis=0)
    low, high = np.percentile(x, [1, 99.8])
    grey = np.clip((x - low) / max(high - low, 1e-9), 0, 1) * 255
    grey, y = (array.repeat(larger, axis=-2).repeat(larger, axis=-1) for array in (grey, y))
    image, mask = np.full((SIDE, SIDE, 3), 255, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = y.shape
    image[:rows, :columns], mask[:rows, :columns] = np.moveaxis(grey, 0, -1), y
    return image, mask
