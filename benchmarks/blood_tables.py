"""Tables of images of blood cells at 28 px, for the experiments blood_bags, blood_cells_five and blood_cells_likeness.

Run: python -m benchmarks.blood_tables DIR (the data folder of experiments). Reads
DIR/images/blood_cells_28/blood_cells_28.npz; copies no image, but writes to DIR/images/blood_tables

- bags.csv: bags with one rare kind. A positive bag contains 1 to 3 basophils among 15 to 20 other cells; a negative one
  has other cells only. Bags of a split contain images of that split only; within a split an image may be in several
  bags, but is at most once in each.
- five.csv and three.csv: single images of five kinds, and of three others.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

# In the order of their numbers in the file.
KINDS = ("basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet")
RARE, THREE = "basophil", ("erythroblast", "ig", "platelet")
BAGS = {"train": 400, "val": 100, "test": 200}


def bags_of(images: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Draw bags, half of them positive, from images with the columns image, split and label.

    Return a row per image: image, split, bag, label (of the bag), instance_label (1: the rare kind).
    """
    rng, rows = np.random.default_rng(seed), []
    for split, number in BAGS.items():
        own = images[images["split"] == split].reset_index(drop=True)
        rare, others = (np.flatnonzero(own["label"].eq(RARE) == which) for which in (True, False))
        for i in range(number):
            positive = i % 2
            chosen = rng.choice(others, rng.integers(15, 21), replace=False)
            chosen = np.concatenate([chosen, rng.choice(rare, positive * rng.integers(1, 4), replace=False)])
            rows += [
                (own["image"][k], split, f"{split}{i:03}", ("without", "with")[positive], int(own["label"][k] == RARE))
                for k in rng.permutation(chosen)
            ]
    return pd.DataFrame(rows, columns=["image", "split", "bag", "label", "instance_label"])


def main() -> None:
    """Write the tables; paths are relative to their folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    folder = parser.parse_args().data / "images"
    npz, target = folder / "blood_cells_28" / "blood_cells_28.npz", folder / "blood_tables"
    target.mkdir(exist_ok=True)
    base = os.path.relpath(npz, target)
    with np.load(npz) as stored:
        labels = {split: stored[f"{split}_labels"].ravel() for split in BAGS}
    rows = [(f"{base}/{split}_images[{i}]", split, KINDS[k]) for split, y in labels.items() for i, k in enumerate(y)]
    images = pd.DataFrame(rows, columns=["image", "split", "label"])
    three = images["label"].isin(THREE)
    for name, table in (("bags", bags_of(images)), ("five", images[~three]), ("three", images[three])):
        table.to_csv(target / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
