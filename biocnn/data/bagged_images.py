"""Bags of images with one label or number for each bag: slides, smears, patients."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.data.doctor import examine
from biocnn.data.image_pairs import check_columns, read_rows
from biocnn.data.labelled_images import LabelledImages, LabelReader
from biocnn.data.raw import Raw

OF_IMAGES = ("image", "depth", "height", "width")  # columns about single images


RESERVED = ("id", "image", "split")  # columns with another meaning


def refuse_repeated(rows: pd.DataFrame, bag: str, table: Path) -> None:
    """Refuse an image that a table, with the columns image and ``bag``, lists twice in one bag."""
    for line, row in rows[rows.duplicated([bag, "image"])].head(1).iterrows():
        raise InputError(
            f"{table} line {line}: image {row['image']!r} is already in {bag} {row[bag]!r}",
            "list each image of a bag once",
        )


@dataclass(kw_only=True)
class BaggedImages(LabelReader):
    """Bags of images, all images of a bag with the same label: many images, one answer.

    With ``normalise: image``, all images of a bag are scaled by one range.

    Parameters
    ----------
    table
        CSV or TSV with a row for each image: the columns image (path relative to the table's folder), that of ``bag``,
        and label, optionally split (train, val, test) and group, all three the same for all images of a bag. An image
        may be in several bags.
    bag
        Column with the bag of each image: slide, smear, patient.
    instance_label
        Column with 1 for images that make their bag positive and 0 for others; empty: unknown. Not used in training:
        the report compares attention with it.
    group
        Column that a split never cuts: several bags of one patient. By default the column ``group``, else each bag.
    """

    table: Path
    bag: str = "bag"
    instance_label: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        common = {field.name: getattr(self, field.name) for field in fields(LabelReader)}
        self.table, self.reader = Path(self.table), LabelledImages(table=self.table, **common)
        self.targets = list(self.reader.columns) or ["label"]

    def read(self, seed: int, checks: Checks) -> Raw:
        """Read every image once, check images, labels and bags as a whole, and describe them.

        Parameters
        ----------
        seed
            Not used: nothing here is random.
        checks
            Receives counts of what was found, repaired and dropped.

        Raises
        ------
        InputError
            If a file or label cannot be used, or images of a bag differ in label, split, group or size.
        """
        self._check_table()
        raw, seen, source = self.reader.images(checks)
        images = raw.examples
        if "group" not in read_rows(self.table) and not self.group:
            images["group"] = images[self.bag]
        first = len(checks.findings)
        distinct = images.drop_duplicates("image").index
        examine(images.loc[distinct].reset_index(drop=True), [seen[row] for row in distinct], checks, source)
        of_image = dict(zip(images["id"], images[self.bag], strict=True))
        checks.findings[first:] = [
            (finding, severity, of_image[id], f"{id}: {detail}")
            for finding, severity, id, detail in checks.findings[first:]
        ]
        rows = [part.tolist() for part in images.groupby(self.bag, sort=False).indices.values()]
        lost = sorted(set(read_rows(self.table)[self.bag]) - set(images[self.bag]))
        checks.add(source, "dropped", "bags without images that can be used", len(lost), *lost[:1])
        self._check_sizes(images, rows)
        examples = self._bags(images, rows)
        low, high = min(map(len, rows)), max(map(len, rows))
        size = "1 image" if high == 1 else f"{low} images" if low == high else f"{low} to {high} images"
        checks.add(source, "read", f"bags, of {size}", len(rows))
        return Raw(
            examples,
            lambda row: np.stack([raw.x(image) for image in rows[row]]),
            raw.y[[part[0] for part in rows]],
            raw.facts.model_copy(update={"kind": "bag"}),
        )

    def _check_table(self) -> None:
        """Refuse a table without bags, or with images of one bag that differ in what must be the same."""
        if self.bag in RESERVED:
            raise InputError(
                f"data.bag: the column {self.bag!r} has another meaning in a table of images",
                "rename the column of the bags, e.g. to bag",
            )
        table = read_rows(self.table)
        check_columns(table, self.table, ["image", self.bag])
        if self.instance_label and self.instance_label not in table:
            message = f"{self.table}: no column {self.instance_label!r} in its first line"
            raise InputError(message, nearest(self.instance_label, table))
        given = table.get(self.instance_label, pd.Series(dtype=object))
        if len(wrong := given[~given.isin(["0", "1", ""])]):
            raise InputError(
                f"{self.table} line {wrong.index[0]}: {self.instance_label} {wrong.iloc[0]!r}",
                "allowed: 1 (makes its bag positive), 0, or empty (unknown)",
            )
        for column in (*self.targets, "split", self.group or "group"):
            if column not in table:
                continue
            first = table.groupby(self.bag)[column].transform("first")
            for line in table.index[table[column] != first][:1]:
                bag = table.loc[line, self.bag]
                before = table.index[table[self.bag] == bag][0]
                raise InputError(
                    f"{self.table} line {line}: {column} {table.loc[line, column]!r}, but {first[line]!r} in line "
                    f"{before} for the same {self.bag} {bag!r}",
                    f"give all images of a {self.bag} the same {column}, or name other columns in data",
                )
        refuse_repeated(table, self.bag, self.table)

    def _check_sizes(self, images: pd.DataFrame, rows: list[list[int]]) -> None:
        sides = [column for column in OF_IMAGES[1:] if column in images]
        sizes = images[sides].to_numpy()
        for part in rows:
            for other in part:
                if (sizes[other] != sizes[part[0]]).any():
                    shown = [
                        f"{images['image'][row]} of {' x '.join(map(str, sizes[row]))} pixels"
                        for row in (part[0], other)
                    ]
                    raise InputError(
                        f"{self.table}: images of {self.bag} {images[self.bag][other]!r} differ in size: "
                        + " and ".join(shown),
                        "cut or resize all images of a bag to one size, e.g. tiles of 256 x 256 pixels",
                    )

    def _bags(self, images: pd.DataFrame, rows: list[list[int]]) -> pd.DataFrame:
        """Return the table of bags: id, group, what the images of each bag have in common, and their paths."""
        same = [column for column in images if (images.groupby(self.bag)[column].nunique() <= 1).all()]
        kept = [column for column in same if column not in ("id", *OF_IMAGES)]
        found = images.iloc[[part[0] for part in rows]].reset_index(drop=True)
        found = found[kept].assign(id=found[self.bag])
        found["images"] = [json.dumps(images["image"].iloc[part].tolist()) for part in rows]
        if self.instance_label:
            found["instance_labels"] = [json.dumps(images[self.instance_label].iloc[part].tolist()) for part in rows]
        return found
