"""Masks and classes of whole white blood cells, for the experiment wbc_typed.

Run: python -m benchmarks.wbc_cells DIR (the data folder of experiments). Reads DIR/images/wbc_tecom, whose masks have
the values 1 for cytoplasm and 2 for nucleus; writes DIR/images/wbc_cells, in which a cell has the value 1.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from PIL import Image

from biocnn.data.image_pairs import read_rows


def main() -> None:
    """Write masks, the table of images with their splits, and the table of cells with their classes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    folder = parser.parse_args().data / "images"
    source, target = folder / "wbc_tecom", folder / "wbc_cells"
    (target / "masks").mkdir(parents=True, exist_ok=True)
    images, cells = [("image", "mask", "split", "group")], [("image", "class")]
    for row in read_rows(source / "index.csv").to_dict("records"):
        mask = np.asarray(Image.open(source / row["mask"]))
        Image.fromarray((mask > 0).astype(np.uint8)).save(target / row["mask"])
        image = os.path.relpath(source / row["image"], target)
        images.append((image, row["mask"], row["split"], row["group"]))
        cells.append((image, row["label_name"]))
    for name, rows in (("index.csv", images), ("objects.csv", cells)):
        with open(target / name, "w", newline="") as handle:
            csv.writer(handle, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
