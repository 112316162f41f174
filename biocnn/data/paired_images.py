"""Images with a target image each: read, checked as a whole, and returned one at a time."""

from itertools import compress
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, all_faults
from biocnn.data.doctor import examine, examine_targets
from biocnn.data.image_pairs import group_by_name, pair_folders, read_table
from biocnn.data.image_sets import (
    Seen,
    check_options,
    common_channels,
    common_dtype,
    common_facts,
    not_constant,
    pixels_of,
    scan,
    with_sizes,
)
from biocnn.data.raw import Raw
from biocnn.io.geometry import lay
from biocnn.io.image_paths import PASSED_OVER, passed_over
from biocnn.io.lazy import LazyImage, open_image
from biocnn.tasks.facts import Facts


class PairedImages:
    """Pairs of images: what is given, and what is wanted (the target), e.g. noisy and clean, or two stains.

    Parameters
    ----------
    table
        CSV or TSV with the columns image and target (paths relative to the table's folder), optionally split (train,
        val, test), group, id, and others, which are kept.
    images, targets
        Instead of a table: two folders, paired by file name; files without a partner are left out and counted.
    group
        Column of the table that a split never cuts: field of view, patient, plate. By default the column ``group``,
        else each image. For folders, a regular expression, e.g. "(.+)_t[0-9]+": its match in a file's name, or the
        first group of the match.
    channels, target_channels
        Channels to use, by name; or, if none of these names is in the files, new names for their channels.
    axes
        Order of the axes of files without metadata, e.g. CYX (channels), ZYX (a volume), ZCYX.
    spacing
        (Depth,) height and width of a pixel, instead of that in the files; in um, or for NIfTI and DICOM in mm.
    geometry
        "headers": if headers give the position or size of pixels, those of image and target must agree;
        "trust_arrays": arrays match pixel by pixel, whatever headers say.
    normalise
        Intensities that map to 0 and 1 for the network: the 1st and 99.8th percentile of all training images
        ("dataset") or of each image ("image"); "auto" uses the latter if some images span twice the range of others.
        Targets with as many channels as the images are scaled like these.
    constant
        How to treat a pair in which one image is constant.
    """

    def __init__(
        self,
        *,
        table: Path | None = None,
        images: Path | None = None,
        targets: Path | None = None,
        group: str | None = None,
        channels: list[str] | None = None,
        target_channels: list[str] | None = None,
        axes: str | None = None,
        spacing: list[float] | None = None,
        geometry: Literal["headers", "trust_arrays"] = "headers",
        normalise: Literal["auto", "dataset", "image"] = "auto",
        constant: Literal["error", "keep", "drop"] = "error",
    ) -> None:
        given = {"table": table, "images": images, "targets": targets}
        names = [name for name, value in given.items() if value is not None]
        if names not in (["table"], ["images", "targets"]):
            raise InputError(
                f"data: {' and '.join(names) or 'neither table nor images and targets'} given",
                "give either table, or both images and targets",
            )
        check_options(axes, spacing, None)
        self.table, self.images, self.targets, self.group = table, images, targets, group
        self.channels, self.target_channels, self.axes, self.spacing = channels, target_channels, axes, spacing
        self.geometry, self.normalise, self.constant = geometry, normalise, constant

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
        targets = scan(rows["target"].tolist(), opened, "targets", checks, source)
        self._check_pairs(seen, targets)
        keep = not_constant(seen, self.constant, checks, source)
        keep &= not_constant(targets, self.constant, checks, source)
        rows = rows[keep].reset_index(drop=True)
        seen, targets = list(compress(seen, keep)), list(compress(targets, keep))
        shared = common_facts(seen, self.channels, self.spacing, self.normalise, checks, source)
        outputs, known_as = common_channels(targets, self.target_channels, checks, source, "data.target_channels")
        dtype = common_dtype(targets, None, checks, source)
        facts = Facts(task="image_to_image", out_channels=len(outputs), outputs=outputs, target_dtype=dtype, **shared)
        examples = with_sizes(rows, seen, shared, checks, source)
        examine(examples, seen, checks, source)
        examine_targets(examples, seen, targets, checks, source)
        of_targets = facts.model_copy(update={"known_as": [outputs, *known_as], "dtype": "float32"})

        def x(row: int) -> np.ndarray:
            with opened(rows["image"].iloc[row]) as image:
                return pixels_of(image, facts)

        def y(row: int) -> np.ndarray:
            with opened(rows["target"].iloc[row]) as image:
                pixels = pixels_of(image, of_targets)
            return np.stack([self._laid(channel, seen[row], targets[row]) for channel in pixels])

        return Raw(examples, x, y, facts)

    def _rows(self, checks: Checks) -> tuple[pd.DataFrame, Path, str]:
        if self.table is not None:
            rows = read_table(self.table, ["image", "target"], self.group).reset_index(drop=True)
            return rows, Path(self.table).parent, Path(self.table).name
        rows, base, rule = pair_folders(self.images, self.targets, "target", checks)
        source = Path(self.images).name
        if self.group:
            rows["group"] = group_by_name(rows["image"].tolist(), self.group)
            checks.add(source, "note", f"groups by name: {rows['group'].nunique()}", len(rows))
        checks.add(source, "note", f"images and targets paired by: {rule}", len(rows))
        for folder in (self.images, self.targets):
            others = passed_over(Path(folder))
            checks.add(Path(folder).name, "note", PASSED_OVER, len(others), *(path.name for path in others[:1]))
        return rows, base, source

    def _check_pairs(self, seen: list[Seen], targets: list[Seen]) -> None:
        """Refuse pairs of different sizes, or at different positions according to their headers."""
        faults = []
        for image, target in zip(seen, targets, strict=True):
            try:
                self._check_pair(image, target)
            except InputError as fault:
                faults.append(fault)
        if faults:
            raise all_faults(faults, f"of {len(seen)} pairs do not match")

    def _check_pair(self, image: Seen, target: Seen) -> None:
        if image.shape != target.shape:
            found, needed = (" x ".join(map(str, shape)) for shape in (target.shape, image.shape))
            raise InputError(
                f"{target.path}: {found} pixels, but its image {image.path} has {needed}",
                "both must have the same size and show the same place: crop them, and register them if necessary",
            )
        self._laid(np.zeros(target.shape, np.uint8), image, target)

    def _laid(self, values: np.ndarray, image: Seen, target: Seen) -> np.ndarray:
        """Return values of a target, (*spatial), in the order of the pixels of its image."""
        told = {"spacing": None} if self.spacing else {}  # data.spacing overrides that of the files
        return lay(values, target.grid._replace(**told), image.grid, self.geometry == "trust_arrays")[0]
