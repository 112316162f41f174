"""Masks, classes and measurements of white blood cells, for the experiments of config/experiments that start with wbc_.

Run: python -m benchmarks.wbc_cells DIR (the data folder of experiments). Reads DIR/images/wbc_tecom, whose masks have
the values 1 for cytoplasm and 2 for nucleus; writes to DIR/images/wbc_cells

- masks, in which a cell has the value 1, with index.csv and objects.csv: images, and the class of each cell;
- numbers.csv: for each image the kind of its cell, its nucleus_share (area of the nucleus by that of the cell),
  cell_area (pixels), and nucleus_shape, a grade from compact to lobed: the area of the nucleus relative to that of its
  convex hull, cut at the quartiles of training images;
- cut, the bounding boxes of cells, all scaled to the same size, with cut.csv: the diameter (geometric mean of the sides
  of the box before, in pixels) and the nucleus_area (pixels).
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from biocnn.apply.measure import measure
from biocnn.data.image_pairs import read_rows

SIDE = 80  # pixels of a cell that was cut out: the median cell has about as many
GRADES = ("compact", "indented", "bent", "lobed")


def main() -> None:
    """Write masks, cells and tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    folder = parser.parse_args().data / "images"
    source, target = folder / "wbc_tecom", folder / "wbc_cells"
    for name in ("masks", "cut"):
        (target / name).mkdir(parents=True, exist_ok=True)
    rows = read_rows(source / "index.csv")[["image", "mask", "split", "group", "label_name"]]
    table = pd.DataFrame([_cell(source, target, row) for row in rows.to_dict("records")])
    limits = table.loc[table["split"] == "train", "solidity"].quantile([0.75, 0.5, 0.25])
    table["nucleus_shape"] = np.array(GRADES)[(table["solidity"].to_numpy()[:, None] < limits.to_numpy()).sum(axis=1)]
    common = ["image", "split", "group", "kind"]
    tables = {
        "index": table[["image", "mask", "split", "group"]],
        "objects": table[["image", "kind"]].rename(columns={"kind": "class"}),
        "numbers": table[[*common, "nucleus_share", "cell_area", "nucleus_shape"]],
        "cut": table.assign(image=table["cut"])[[*common, "diameter", "nucleus_area"]],
    }
    for name, written in tables.items():
        written.to_csv(target / f"{name}.csv", index=False, float_format="%.4g", lineterminator="\n")


def _cell(source: Path, target: Path, row: dict[str, str]) -> dict[str, object]:
    """Write the mask of a whole cell, and the cell cut out; return paths and measurements."""
    with Image.open(source / row["mask"]) as file:
        mask = np.asarray(file)
    cell, nucleus = mask > 0, mask == 2
    Image.fromarray(cell.astype(np.uint8)).save(target / row["mask"])
    y, x = np.nonzero(cell)
    box = (x.min(), y.min(), x.max() + 1, y.max() + 1)
    cut = f"cut/{Path(row['image']).name}"
    with Image.open(source / row["image"]) as file:
        file.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box).save(target / cut)
    return {
        "image": os.path.relpath(source / row["image"], target),
        "mask": row["mask"],
        "cut": cut,
        "split": row["split"],
        "group": row["group"],
        "kind": row["label_name"],
        "nucleus_share": nucleus.sum() / cell.sum(),
        "cell_area": cell.sum(),
        "nucleus_area": nucleus.sum(),
        "diameter": np.sqrt((np.ptp(x) + 1) * (np.ptp(y) + 1)),
        "solidity": measure(nucleus.astype(np.uint8), np.zeros((0, *mask.shape)))["solidity"].iloc[0],
    }


if __name__ == "__main__":
    main()
