"""Images with a target image each, or without: read, checked as a whole, and returned one at a time."""

from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, all_faults
from biocnn.core.plurals import plural
from biocnn.data.doctor import examine, examine_targets
from biocnn.data.image_pairs import check_rows, group_by_name, pair_folders, read_rows
from biocnn.data.image_reader import ImageReader
from biocnn.data.image_sets import (
    Seen,
    common_channels,
    common_dtype,
    common_facts,
    not_constant,
    pixels_of,
    scan,
    with_sizes,
)
from biocnn.data.raw import Raw
from biocnn.io.geometry import finer, lay
from biocnn.io.image_paths import PASSED_OVER, members, passed_over, unique_ids
from biocnn.io.lazy import LazyImage, open_image
from biocnn.io.tables import MISSING
from biocnn.tasks.facts import Facts

LARGEST = 8  # pixels of a target per pixel of its image


class Pair(NamedTuple):
    """An image, and its target if it has one."""

    image: Seen
    target: Seen | None


@dataclass(kw_only=True)
class PairedImages(ImageReader):
    """Pairs of images: what is given, and what is wanted (the target), e.g. noisy and clean, or two stains.

    Targets may have a whole number of times as many pixels along each axis: the network then learns super-resolution.

    Parameters
    ----------
    table
        CSV or TSV with the columns image and target (paths relative to the table's folder), optionally split (train,
        val, test), group, id, and others, which are kept.
    images, targets
        Instead of a table: two folders, paired by file name; files without a partner are left out and counted.
    learn_from
        "targets"; or "images": networks learn to predict hidden pixels of noisy images (Noise2Void). Targets then serve
        evaluation only, and are optional: leave out ``targets`` or the column, or leave cells of the column empty.
    channels, target_channels
        Channels to use, by name; or, if none of these names is in the files, new names for their channels.
    geometry
        "headers": if headers give the position or size of pixels, those of image and target must agree;
        "trust_arrays": arrays match pixel by pixel, whatever headers state.
    """

    table: Path | None = None
    images: Path | None = None
    targets: Path | None = None
    learn_from: Literal["targets", "images"] = "targets"
    target_channels: list[str] | None = None
    geometry: Literal["headers", "trust_arrays"] = "headers"

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {"table": self.table, "images": self.images, "targets": self.targets}
        names = [name for name, value in given.items() if value is not None]
        if names not in (["table"], ["images", "targets"], *[["images"]] * self.blind):
            raise InputError(
                f"data: {' and '.join(names) or 'neither table nor images and targets'} given",
                "give either table, or both images and targets; images alone need learn_from: images",
            )

    @property
    def blind(self) -> bool:
        """Return whether networks learn from the images alone."""
        return self.learn_from == "images"

    def read(self, seed: int, checks: Checks) -> Raw:
        """Read every image once, check the pairs as a whole, and describe them.

        Parameters
        ----------
        seed
            Not used: nothing here is random.
        checks
            Receives counts of what was found, repaired and dropped.

        Raises
        ------
        InputError
            If a file cannot be used, or a pair does not match.
        """
        rows, folder, source = self._rows(checks)

        def opened(name: str) -> LazyImage:
            return open_image(folder / name, self.axes)

        seen = scan(rows["image"].tolist(), opened, "images", checks, source)
        given = (rows["target"] != "").to_numpy()
        found = iter(scan(rows.loc[given, "target"].tolist(), opened, "targets", checks, source) if given.any() else [])
        pairs = [Pair(image, next(found) if has else None) for image, has in zip(seen, given, strict=True)]
        upscale = self._check_pairs(pairs)
        keep = not_constant(seen, self.constant, checks, source)
        keep[given] &= not_constant([pair.target for pair in pairs if pair.target], self.constant, checks, source)
        rows, pairs = rows[keep].reset_index(drop=True), list(compress(pairs, keep))
        seen, targets = [pair.image for pair in pairs], [pair.target for pair in pairs if pair.target]
        shared = common_facts(seen, self.channels, self.spacing, self.normalise, checks, source)
        outputs, known_as, more = shared["channels"], [], {"upscale": upscale}
        if targets:
            outputs, known_as = common_channels(targets, self.target_channels, checks, source, "data.target_channels")
            more["target_dtype"] = common_dtype(targets, None, checks, source)
        if self.blind:
            more["blind"] = True
            if upscale > 1 or len(outputs) != shared["in_channels"]:
                raise InputError(
                    f"data.learn_from: images needs targets like the images, but their channels are "
                    f"{', '.join(outputs)}, and they have {upscale} times as many pixels along each axis",
                    "leave the targets out, or set it to targets",
                )
        facts = Facts(task="image_to_image", out_channels=len(outputs), outputs=outputs, **more, **shared)
        examples = with_sizes(rows, seen, shared, checks, source)
        examine(examples, seen, checks, source)
        if targets:
            examine_targets(examples, pairs, checks, source)
        of_targets = facts.model_copy(update={"known_as": [outputs, *known_as], "dtype": "float32"})

        def x(row: int) -> np.ndarray:
            with opened(rows["image"].iloc[row]) as image:
                return pixels_of(image, facts)

        def y(row: int) -> np.ndarray:
            pair = pairs[row]
            if not pair.target:
                return np.full((len(outputs), *pair.image.shape), np.nan, np.float32)
            with opened(rows["target"].iloc[row]) as image:
                pixels = pixels_of(image, of_targets)
            return np.stack([self._laid(channel, pair.image, pair.target) for channel in pixels])

        return Raw(examples, x, y, facts)

    def _rows(self, checks: Checks) -> tuple[pd.DataFrame, Path, str]:
        """Return images, targets ("": none) and groups; the folder of their paths; and the name of the data."""
        if self.table is not None:
            rows = self._table(self.table).reset_index(drop=True)
            return rows, Path(self.table).parent, Path(self.table).name
        if self.targets is None:
            base, folders = Path(self.images), [self.images]
            rows = pd.DataFrame({"image": [path.name for path in members(base)], "target": ""}, dtype=object)
            rows["group"] = unique_ids(rows["image"].tolist())
        else:
            rows, base, rule = pair_folders(self.images, self.targets, "target", checks)
            folders = [self.images, self.targets]
            checks.add(Path(self.images).name, "note", f"images and targets paired by: {rule}", len(rows))
        source = Path(self.images).name
        if self.group:
            rows["group"] = group_by_name(rows["image"].tolist(), self.group)
            checks.add(source, "note", f"groups by name: {rows['group'].nunique()}", len(rows))
        for folder in folders:
            others = passed_over(Path(folder))
            checks.add(Path(folder).name, "note", PASSED_OVER, len(others), *(path.name for path in others[:1]))
        return rows, base, source

    def _table(self, table: Path) -> pd.DataFrame:
        rows = read_rows(table, ["image", "target"])
        if self.blind:
            given = rows["target"] if "target" in rows else pd.Series("", rows.index)
            rows = rows.assign(target=given.where(~given.str.lower().isin(MISSING), ""))
            return check_rows(rows, table, Path(table).parent, ["image"], self.group, ["target"])
        if "target" in rows and (lacks := rows["target"] == "").any():
            raise InputError(
                f"{table} line {lacks.idxmax()}: target '' ({plural(lacks.sum(), 'such row')})",
                "fill the column target, or delete the rows; data.learn_from: images learns without targets",
            )
        return check_rows(rows, table, Path(table).parent, ["image", "target"], self.group)

    def _check_pairs(self, pairs: list[Pair]) -> int:
        """Refuse pairs that do not match in size, or in position according to their headers; return their factor.

        The factor is the number of pixels of a target per pixel of its image, along each axis.
        """
        faults, factors = [], {}
        for pair in pairs:
            if pair.target:
                try:
                    factors.setdefault(self._check_pair(pair, pair.target), pair.target)
                except InputError as fault:
                    faults.append(fault)
        if faults:
            raise all_faults(faults, f"of {len(pairs)} pairs do not match")
        if len(factors) > 1:
            shown = "; ".join(f"{factor} times in {target.path}" for factor, target in sorted(factors.items()))
            raise InputError(
                f"targets have different numbers of pixels per pixel of their images along each axis: {shown}",
                "all must have the same factor: train on each in an experiment of its own",
            )
        return next(iter(factors), 1)

    def _check_pair(self, pair: Pair, target: Seen) -> int:
        image = pair.image
        factor = target.shape[0] // image.shape[0]
        if not 1 <= factor <= LARGEST or target.shape != tuple(factor * n for n in image.shape):
            found, needed = (" x ".join(map(str, shape)) for shape in (target.shape, image.shape))
            raise InputError(
                f"{target.path}: {found} pixels, but its image {image.path} has {needed}",
                "both must have the same size, or the target 2, 3, ... times as many pixels along each axis, and show "
                "the same place: crop them, and register them if necessary",
            )
        self._laid(np.zeros(target.shape, np.uint8), image, target)
        return factor

    def _laid(self, values: np.ndarray, image: Seen, target: Seen) -> np.ndarray:
        """Return values of a target, (*spatial), in the order of the pixels of its image."""
        own = {"spacing": None} if self.spacing else {}  # data.spacing overrides that of the files
        grid = finer(image.grid, target.shape[0] // image.shape[0])
        return lay(values, target.grid._replace(**own), grid, self.geometry == "trust_arrays")[0]
