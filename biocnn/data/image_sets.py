"""Checks that all readers of images share, and what a set has in common: channels, data type, pixel size."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import Collector, InputError, all_faults, nearest
from biocnn.core.plurals import plural
from biocnn.data.appearance import Appearance, measure_appearance
from biocnn.data.survey import MaskSeen
from biocnn.io.channels import GREY, by_name, match_channels
from biocnn.io.image_files import ImageFile, whole_image
from biocnn.io.image_paths import unique_ids
from biocnn.io.lazy import LazyImage
from biocnn.io.stored_image import MILLIMETRES, RGB, Grid, whole
from biocnn.tasks.facts import Facts

Open = Callable[[str], LazyImage]  # opens the image of a name in the column image
_EXACT_AS_FLOAT = {"uint8", "int8", "uint16", "int16", "float32"}
_SILENT = 0.9  # share of images without signal in a channel from which it has none
_SAME_SPACING = 0.01  # relative difference up to which two pixel sizes count as equal


@dataclass(frozen=True)
class Seen:
    """Properties of an image that are kept after it was checked; its pixels are not.

    ``tally`` counts the pixels of each object with each class, see ``biocnn.data.object_classes``.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str
    channels: tuple[str, ...]
    spacing: tuple[float, ...] | None
    unit: str
    grey: bool
    constant: bool
    flat_channel: bool
    digest: str
    appearance: Appearance
    grid: Grid
    mask: MaskSeen | None = None
    tally: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        path: Path,
        image: ImageFile,
        foreground: np.ndarray | None = None,
        mask: MaskSeen | None = None,
        tally: np.ndarray | None = None,
    ) -> "Seen":
        """Collect the properties of an image, given its mask's foreground (bool) and properties if it has a mask."""
        pixels = image.pixels
        flat = [bool(plane.min() == plane.max()) for plane in pixels]
        return cls(
            path=path,
            shape=pixels.shape[1:],
            dtype=pixels.dtype.name,
            channels=tuple(image.channels),
            spacing=tuple(image.spacing) if image.spacing else None,
            unit=image.unit,
            grey=_is_grey(image),
            constant=all(flat),
            flat_channel=any(flat) and not all(flat),
            digest=hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).hexdigest(),
            appearance=measure_appearance(pixels, foreground),
            grid=image.grid,
            mask=mask,
            tally=tally,
        )


def _is_grey(image: ImageFile) -> bool:
    """Check for an RGB image whose three channels are equal."""
    red = image.pixels[0]
    return image.channels == RGB and all(np.array_equal(red, p) for p in image.pixels[1:])


def scan(names: list[str], opened: Open, what: str, checks: Checks, source: str) -> list[Seen]:
    """Read every image once, with one in memory at a time; repairs are counted in checks.

    Raises
    ------
    InputError
        If images cannot be read; names all of them.
    """
    seen: list[Seen] = []
    repairs: dict[str, list[str]] = {}
    collector = Collector()
    for name in names:
        with collector, opened(name) as image:
            found = whole_image(image)
            seen.append(Seen.of(image.path, found))
            for reason in dict.fromkeys(found.repairs):
                repairs.setdefault(reason, []).append(name)
    if collector.faults:
        raise all_faults(collector.faults, f"of {len(names)} images cannot be used")
    count_read(what, len(names), repairs, checks, source)
    return seen


def count_read(what: str, number: int, repairs: dict[str, list[str]], checks: Checks, source: str) -> None:
    """Record the number of images, and the images of each repair."""
    checks.add(source, "read", what, number)
    for reason, images in repairs.items():
        checks.add(source, "repaired", reason, len(images), images[0])


def not_constant(seen: list[Seen], outcome: str, checks: Checks, source: str) -> np.ndarray:
    """Refuse, keep or drop constant images, as the setting data.constant requires; return which to keep, (N,), bool."""
    keep = np.ones(len(seen), bool)
    flat = [s.path for s in seen if s.constant]
    if not flat:
        return keep
    if outcome == "error":
        others = f": {', '.join(path.name for path in flat[:20])}" if len(flat) > 1 else ""
        raise InputError(
            f"{flat[0]}: a constant image, all pixels are equal ({len(flat)} of {len(seen)} images{others})",
            "is it an empty or failed exposure? delete it, or set data.constant: drop or keep",
        )
    if outcome == "keep":
        checks.add(source, "kept", "constant image", len(flat), flat[0].name)
        return keep
    checks.add(source, "dropped", "constant image", len(flat), flat[0].name)
    if len(flat) == len(seen):
        raise InputError(f"{source}: all {len(seen)} images are constant", "check that these are the images")
    return np.array([not s.constant for s in seen])


def common_facts(
    seen: list[Seen],
    channels: list[str] | None,
    spacing: list[float] | None,
    normalise: str,
    checks: Checks,
    source: str,
) -> dict[str, Any]:
    """Return the facts that images share, given the settings of the section data; conversions are counted in checks.

    Raises
    ------
    InputError
        If planes and volumes, numbers or names of channels, or data types are mixed.
    """
    checks.add(source, "note", "one of several channels is constant", sum(s.flat_channel for s in seen))
    dims = check_dimensions(seen)
    if spacing and len(spacing) != dims:
        raise InputError(f"data.spacing: {plural(len(spacing), 'number')} for images of {dims} axes", f"give {dims}")
    names, known_as = common_channels(seen, channels, checks, source)
    _note_silent(seen, names, known_as[0], checks, source)
    return {
        "kind": "image",
        "spatial_dims": dims,
        "in_channels": len(names),
        "channels": names,
        "known_as": known_as,
        "dtype": common_dtype(seen, normalise, checks, source),
        "spacing": list(spacing) if spacing else common_spacing(seen, checks, source),
        "spacing_range": [list(spacing)] * 2 if spacing else spacing_range(seen),
        "unit": seen[0].unit,
        "normalise": normalise,
    }


def _note_silent(seen: list[Seen], names: list[str], in_files: list[str], checks: Checks, source: str) -> None:
    """Note channels, by their names and those in the files, that have no signal in nearly all images."""
    flags: dict[str, list[bool]] = {}
    for one in seen:
        for name, silent in zip(one.channels, one.appearance.silent, strict=True):
            flags.setdefault(name, []).append(silent)
    silent = [own for own, name in zip(names, in_files, strict=True) if np.mean(flags.get(name, [False])) > _SILENT]
    if silent and (others := [name for name in names if name not in silent]):
        reason = f"channels without signal, only faint noise: leave them out with data.channels: [{', '.join(others)}]"
        checks.add(source, "note", reason, len(silent), ", ".join(silent))


def with_sizes(
    rows: pd.DataFrame, seen: list[Seen], facts: dict[str, Any], checks: Checks, source: str, **more: list[int]
) -> pd.DataFrame:
    """Return the table of images with ids, sizes, ``more``, and pixel sizes if they differ."""
    examples = rows.copy()
    if "id" not in examples:
        examples.insert(0, "id", unique_ids(rows["image"].tolist()))
    dims = facts["spatial_dims"]
    sides = ("depth", "height", "width")[-dims:]
    for column, values in ({side: [s.shape[i] for s in seen] for i, side in enumerate(sides)} | more).items():
        if column in rows:
            differ = rows[column] != pd.Series(values).astype(str)
            checks.add(source, "repaired", f"{column} in the table differs from that of the file", int(differ.sum()))
        examples[column] = values
    if facts["spacing"] is None and facts["spacing_range"] is not None:
        for axis, sizes in zip("zyx"[-dims:], zip(*spacings(seen), strict=True), strict=True):
            examples[f"spacing_{axis}"] = sizes
    return examples


def pixels_of(image: LazyImage, facts: Facts) -> np.ndarray:
    """Read an image that was checked: shape (C, *spatial), with the channels and data type of the set."""
    image.choose(facts.known_as[0], facts.known_as)
    return image.read(whole(image.shape)).astype(facts.dtype, copy=False)


def common_channels(
    seen: list[Seen], wanted: list[str] | None, checks: Checks, source: str, key: str = "data.channels"
) -> tuple[list[str], list[list[str]]]:
    """Return the channels of all images and their names in the files; conversions are counted in checks.

    ``wanted``, given as setting ``key``, selects channels by name, or renames them if no file uses these names.
    """
    first = list(seen[0].channels)
    if wanted is not None and all(by_name(s.channels, wanted) for s in seen):
        return list(wanted), [list(wanted)]
    grey = [s for s in seen if s.grey]
    if grey and all(s.grey or len(s.channels) == 1 for s in seen):
        checks.add(source, "repaired", "grey image stored as RGB: one channel kept", len(grey), grey[0].path.name)
        first, known_as = GREY, [GREY]
    else:
        _check_number(seen, key)
        known_as = _names(seen, wanted, checks, source, key)
    if wanted is None:
        return first, known_as
    if len(wanted) != len(first) or set(wanted) & set(first) or len(set(wanted)) < len(wanted):
        odd = next((name for name in wanted if name not in first), wanted[0])
        raise InputError(
            f"{key}: {', '.join(wanted)}, but {seen[0].path} has {', '.join(first)}",
            f"{nearest(odd, first)}; or give {len(first)} new names to rename them",
        )
    return list(wanted), known_as


def _check_number(seen: list[Seen], key: str) -> None:
    by_number: dict[int, list[Seen]] = {}
    for one in seen:
        by_number.setdefault(len(one.channels), []).append(one)
    if len(by_number) > 1:
        raise InputError(
            "images with different numbers of channels: "
            + "; ".join(f"{n} in {plural(len(s), 'image')} ({s[0].path})" for n, s in sorted(by_number.items())),
            f"all must have the same channels: convert them, or select common channels in {key}",
        )


def _names(seen: list[Seen], wanted: list[str] | None, checks: Checks, source: str, key: str) -> list[list[str]]:
    """Return all names that files give to the same channels; conflicting names require ``wanted``."""
    first = seen[0].channels
    found = [match_channels(s.channels, first) for s in seen]
    moved = [s for s, match in zip(seen, found, strict=True) if match and match.index != sorted(match.index)]
    renamed = [s for s in seen if by_name(s.channels, first) is None]
    other = next((s for s, match in zip(seen, found, strict=True) if match is None), None)
    if other and wanted is None:
        raise InputError(
            f"{other.path} has the channels {', '.join(other.channels)}, but {seen[0].path} has {', '.join(first)}",
            f"if they show the same, name them in {key}, one name for each; otherwise remove one of the images",
        )
    if moved:
        checks.add(source, "repaired", "channels reordered as in the first image", len(moved), moved[0].path.name)
    if renamed:
        reason = f"channels are not called {', '.join(first)}: used in their order"
        checks.add(source, "note", reason, len(renamed), f"{renamed[0].path.name}: {', '.join(renamed[0].channels)}")
    return [list(first), *([*names] for names in dict.fromkeys(s.channels for s in renamed))]


def check_dimensions(seen: list[Seen]) -> int:
    """Return the number of spatial axes of all images: 2 or 3."""
    flat = [s for s in seen if len(s.shape) == 2]
    deep = [s for s in seen if len(s.shape) == 3]
    if flat and deep:
        raise InputError(
            f"{plural(len(flat), 'plane')} ({flat[0].path}) among {plural(len(deep), 'volume')} ({deep[0].path})",
            "give either planes or volumes; data.axes states whether a third axis is channels (CYX) or z planes (ZYX)",
        )
    return len(seen[0].shape)


def common_dtype(seen: list[Seen], normalise: str | None, checks: Checks, source: str) -> str:
    """Return the one data type that all images are stored in.

    Images of several types are not converted to a wider one, because the same number would mean a different brightness
    in each; this does not matter if each image is scaled by its own intensities. ``normalise`` is None for targets.
    """
    by_type: dict[str, list[Seen]] = {}
    for one in seen:
        by_type.setdefault(one.dtype, []).append(one)
    if len(by_type) == 1:
        return seen[0].dtype
    shown = "; ".join(f"{name} in {plural(len(s), 'image')} ({s[0].path})" for name, s in sorted(by_type.items()))
    if normalise not in (None, "image"):
        raise InputError(
            f"images of different data types: {shown}",
            "the same number means a different brightness in each: convert all to one type with the same scaling, or "
            "set data.normalise: image to scale each image by its own intensities",
        )
    if normalise is None or not set(by_type) <= _EXACT_AS_FLOAT:
        raise InputError(f"images of different data types: {shown}", "convert all to one type")
    for name, some in sorted(by_type.items()):
        if name != "float32":
            checks.add(source, "repaired", f"{name} stored as float32, like others", len(some), some[0].path.name)
    return "float32"


def spacing_range(seen: list[Seen]) -> list[list[float]] | None:
    """Return the smallest and largest pixel size per axis, in the unit of the first image; None if any lacks one."""
    if not all(s.spacing for s in seen):
        return None
    sizes = np.array(spacings(seen))
    return [sizes.min(axis=0).tolist(), sizes.max(axis=0).tolist()]


def spacings(seen: list[Seen]) -> list[list[float]]:
    """Return the pixel sizes of images that all have one, in the unit of the first."""
    unit = MILLIMETRES[seen[0].unit]
    return [[size * MILLIMETRES[s.unit] / unit for size in s.spacing] for s in seen]


def common_spacing(seen: list[Seen], checks: Checks, source: str) -> list[float] | None:
    """Return the pixel size of all images, row-major in their unit; None if they differ or some have none."""
    known = [s for s in seen if s.spacing]
    if not known:
        return None
    units = sorted({s.unit for s in known})
    if len(units) > 1:
        checks.add(source, "note", f"pixel sizes in {' and '.join(units)}: not used", len(seen), seen[0].path.name)
        return None
    if len(known) < len(seen):
        checks.add(source, "note", "only some images have a pixel size: not used", len(known), known[0].path.name)
        return None
    sizes = np.array([s.spacing for s in known])
    if (np.ptp(sizes, axis=0) > _SAME_SPACING * sizes.min(axis=0)).any():
        reason = f"pixel sizes differ ({sizes.min():g} to {sizes.max():g} {units[0]}): not used"
        checks.add(source, "note", reason, len(seen), seen[0].path.name)
        return None
    return [float(size) for size in sizes[0]]
