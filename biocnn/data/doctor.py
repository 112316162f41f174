"""The data doctor: what a person should know of a set of images and masks before a network learns from it.

What is safe to repair was repaired by then (and is counted in checks.tsv); here it is named, image by image.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.files import atomic
from biocnn.data.duplicates import alike
from biocnn.data.image_sets import Seen
from biocnn.data.looks import SATURATED, against, other_polarity, unlike
from biocnn.data.masks import IGNORE, MaskCode
from biocnn.data.raw import Raw
from biocnn.data.survey import TINY
from biocnn.io.tile_names import of_examples
from biocnn.tasks import make_task

SHOWN = 6  # thumbnails of each kind of finding
SIDE = 160  # of a thumbnail, in pixels
_FULL = 0.99  # share of foreground from which a mask says as little as an empty one
_MOSTLY = 0.5  # share of foreground, and
_NEARLY = 0.8  # of foreground along the border and of masks, from which masks look inverted
_COMMON = 0.5  # share of images from which a trait belongs to the kind of image, and is not named image by image


def examine(examples: pd.DataFrame, seen: list[Seen], code: MaskCode, checks: Checks, source: str) -> None:
    """Look for faults, and write down what was found.

    Parameters
    ----------
    examples
        Columns id, and perhaps split and group.
    seen
        What is remembered of each.
    code
        What the masks mean.
    checks
        Takes a count of each kind of finding, and each image with it.
    source
        Name of the data, for the counts.
    """
    ids = examples["id"].tolist()
    for finding, severity, details, *count in _of_images(seen, code):
        outcome = "repaired" if severity == "repaired" else "note"
        rows = [row for row, detail in enumerate(details) if detail]
        checks.add(source, outcome, finding, *count or [len(rows)], ids[rows[0]] if rows else "")
        if len(rows) <= _COMMON * len(seen) or severity == "repaired" or len(seen) < 5:
            for row in rows:
                checks.find(finding, severity, ids[row], details[row])
    for finding, rows, detail in _of_set(seen, code):
        checks.add(source, "note", finding, len(rows), ids[rows[0]])
        for row in rows[:SHOWN]:
            checks.find(finding, "look", ids[row], detail)
    if code.objects:
        _count_objects(seen, checks, source)
    _tiles(examples, checks, source)
    _doubles(examples, seen, checks, source)


def _of_images(seen: list[Seen], code: MaskCode) -> Iterator[tuple]:
    """Each kind of finding, what it asks for, and for each image a detail, empty where there is nothing to say.

    A fourth entry is how many there are, where not images are counted.
    """
    masks, looks = [s.mask for s in seen], [s.look for s in seen]
    if code.blurred:
        said = [f"{m.blurred} pixels in between" if m.blurred else "" for m in masks]
        yield "masks with blurred edges: pixels given to the nearer of background and foreground", "repaired", said
    yield "masks without foreground", "look", ["no pixel" if not m.ids else "" for m in masks]
    full = [f"{m.share:.1%} of the pixels" if m.share >= _FULL else "" for m in masks]
    yield "masks that are all foreground", "look", full
    what = "objects" if code.objects else "specks"
    tiny = [f"{m.tiny} {what}" if m.tiny else "" for m in masks]
    yield f"{what} of {TINY} pixels or less", "look", tiny, sum(m.tiny for m in masks)
    if code.objects:
        torn = [f"{m.torn} of {m.ids} objects" if m.torn else "" for m in masks]
        yield "objects in more than one piece, kept as they are", "look", torn, sum(m.torn for m in masks)
    opposed = against(np.array([look.agreement for look in looks]))
    said = [f"foreground {s.look.agreement:+.1f} sd" if flag else "" for s, flag in zip(seen, opposed, strict=True)]
    yield "masks that go against their images: those of others?", "look", said
    for finding, flags in unlike(looks).items():
        said = [
            f"median {look.middle:g}, contrast {look.contrast:g}" if flag else ""
            for look, flag in zip(looks, flags, strict=True)
        ]
        yield finding, "look", said
    said = [f"{look.brightest:.0%} of the pixels" if look.brightest >= SATURATED else "" for look in looks]
    yield f"{SATURATED:.0%} of the pixels or more are as bright as it goes (saturated)", "look", said
    sizes = Counter(s.spacing for s in seen)
    usual = sizes.most_common(1)[0][0]
    said = [f"{_size(s.spacing)}, most have {_size(usual)}" if s.spacing != usual else "" for s in seen]
    yield "pixel size unlike that of the other images", "look", said


def _of_set(seen: list[Seen], code: MaskCode) -> Iterator[tuple[str, list[int], str]]:
    """What most of the images or masks have, and should not: finding, rows, and a detail."""
    if len(code.outputs) == 1:
        marked = [row for row, s in enumerate(seen) if s.mask.ids]
        inverted = [row for row in marked if seen[row].mask.share > _MOSTLY and seen[row].mask.border > _NEARLY]
        if len(inverted) > _NEARLY * len(marked):
            share = np.mean([seen[row].mask.share for row in inverted])
            said = f"foreground has {share:.0%} of the pixels, and nearly all of the image's border"
            yield "masks that look inverted, foreground for background, over the whole set", inverted, said
    darker = other_polarity(np.array([s.look.agreement for s in seen]))
    if darker.any():
        rows = np.flatnonzero(darker).tolist()
        usual = "brighter" if seen[rows[0]].look.agreement < 0 else "darker"
        said = f"foreground is {usual} than the rest in most images, not in these"
        yield "images of the other polarity than most: inverted, or of another stain?", rows, said


def _tiles(examples: pd.DataFrame, checks: Checks, source: str) -> None:
    """Name images that are pieces of one slide by their names, where no group keeps these together."""
    found = of_examples(examples)
    if found is None:
        return
    ids = examples["id"].tolist()
    of = pd.Series(found.names)
    first = of[of.duplicated(keep=False)].index[0]
    shown = ids[first], ids[of.index[of == of[first]][1]]
    parts = examples["split"].groupby(of.to_numpy()).nunique().gt(1) if "split" in examples else None
    if parts is not None and not parts.any():
        return
    finding = f"images that are pieces of {of.nunique()} wholes by their names, but each is a group of its own"
    detail = f"{shown[0]} and {shown[1]} are of {of[first]}: set data.group: {found.pattern!r}, or add a column group"
    checks.add(source, "note", finding, len(ids), detail)
    checks.find(finding, "look" if parts is None else "leak", shown[0], detail)


def _size(spacing: tuple[float, ...] | None) -> str:
    return " x ".join(f"{size:g}" for size in spacing) if spacing else "none given"


def _count_objects(seen: list[Seen], checks: Checks, source: str) -> None:
    masks, total = [s.mask for s in seen], sum(s.mask.ids for s in seen)
    checks.add(source, "note", f"objects that touch another, of {total:,}", sum(m.touching for m in masks))
    checks.add(source, "note", "masks whose ids have gaps: harmless", sum(m.gaps > 0 for m in masks))


def _doubles(examples: pd.DataFrame, seen: list[Seen], checks: Checks, source: str) -> None:
    """Name images with the same pixels and images that look alike; those in different splits or groups are leaks."""
    first: dict[str, int] = {}
    same = [(first.setdefault(s.digest, row), row) for row, s in enumerate(seen)]
    same = [pair for pair in same if pair[0] != pair[1]]
    near = [
        (i, j) for i, j, _ in alike(np.stack([s.look.small for s in seen])) if seen[i].digest != seen[j].digest
    ]  # fmt: skip
    for pairs, said in ((same, "same pixels"), (near, "look alike")):
        what = "with the same pixels as another" if said == "same pixels" else "that look like another, turned perhaps"
        _name(examples, pairs, checks, source, f"images {what}", said)


def _name(
    examples: pd.DataFrame, pairs: list[tuple[int, int]], checks: Checks, source: str, reason: str, said: str
) -> None:
    ids = examples["id"].tolist()
    checks.add(source, "note", reason, len({row for pair in pairs for row in pair}), _shown(pairs, ids))
    leaks = set()
    for column in ("split", "group"):
        if column in examples:
            values = examples[column].tolist()
            cut = [pair for pair in pairs if values[pair[0]] != values[pair[1]]]
            rows = len({row for pair in cut for row in pair})
            checks.add(source, "note", f"leak: {said} in different {column}s", rows, _shown(cut, ids))
            leaks |= set(cut) if column == "split" or "split" not in examples else set()
    for i, j in pairs:
        # Named by the second, for a copy comes after its original more often than not.
        checks.find(reason, "leak" if (i, j) in leaks else "look", ids[j], f"{said}: {ids[i]}")


def _shown(pairs: list[tuple[int, int]], ids: list[str]) -> str:
    return f"{ids[pairs[0][0]]} = {ids[pairs[0][1]]}" if pairs else ""


def write_checks(raw: Raw, checks: Checks, out: Path, folder: Path | None) -> None:
    """Write checks.tsv, and where a folder is given, the findings."""
    with atomic(out) as path:
        checks.frame().to_csv(path, sep="\t", index=False)
    if folder:
        with atomic(folder) as path:
            write_findings(raw, checks, path)


def write_findings(raw: Raw, checks: Checks, folder: Path) -> None:
    """Write findings.tsv, and thumbnails.npz of the first few images of each kind of finding.

    Parameters
    ----------
    raw
        The examples.
    checks
        After reading them.
    folder
        Is made. thumbnails.npz has ``ids``, ``images`` (N, SIDE, SIDE, 3), white around the image, and ``masks``
        (N, SIDE, SIDE), 0 or 1; uint8 both. Of a volume they show the middle slice.
    """
    folder.mkdir(parents=True)
    findings = checks.findings_frame()
    findings.to_csv(folder / "findings.tsv", sep="\t", index=False)
    wanted = findings.groupby("finding", sort=False).head(SHOWN)["id"].drop_duplicates()
    places = {str(name): row for row, name in enumerate(raw.examples["id"])}
    shown = [_thumbnail(raw.x(places[name]), _foreground(raw, places[name])) for name in wanted]
    images = np.stack([image for image, _ in shown]) if shown else np.zeros((0, SIDE, SIDE, 3), np.uint8)
    masks = np.stack([mask for _, mask in shown]) if shown else np.zeros((0, SIDE, SIDE), np.uint8)
    np.savez_compressed(folder / "thumbnails.npz", ids=np.array(wanted, dtype=str), images=images, masks=masks)


def _foreground(raw: Raw, row: int) -> np.ndarray:
    """Where an image's mask has an object or a class; pixels to ignore have none."""
    y = raw.y(row)
    return (y > 0) & (make_task(raw.facts).objects | (y != IGNORE))


def _thumbnail(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image in grey or its first three channels, stretched over its own range; the same pixels of its mask."""
    if y.ndim == 3:
        x, y = x[:, x.shape[1] // 2], y[len(y) // 2]
    step = max(1, -(-max(y.shape) // SIDE))
    x, y = x[:, ::step, ::step].astype(np.float32), y[::step, ::step]
    x = x[:3] if len(x) >= 3 else x[:1].repeat(3, axis=0)
    low, high = np.percentile(x, [1, 99.8])
    grey = np.clip((x - low) / max(high - low, 1e-9), 0, 1) * 255
    image, mask = np.full((SIDE, SIDE, 3), 255, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = y.shape
    image[:rows, :columns], mask[:rows, :columns] = np.moveaxis(grey, 0, -1), y
    return image, mask
