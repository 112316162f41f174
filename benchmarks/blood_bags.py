"""Bags of blood cells with one rare kind: a table of images for ``BaggedImages``, drawn from an .npz file of MedMNIST.

    python benchmarks/blood_bags.py images/blood_cells_28/blood_cells_28.npz bags/blood_bags.csv

No image is copied: rows name images of the .npz file. A positive bag contains 1 to 3 basophils (class 0) among 15 to 20
other cells; a negative one has other cells only. Bags of a split contain images of that split of the file only; within
a split an image may be in several bags, but is at most once in each.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

RARE = 0
BAGS = {"train": 400, "val": 100, "test": 200}


def bags_of(labels: dict[str, np.ndarray], seed: int = 1) -> pd.DataFrame:
    """Draw bags, half of them positive, and return a row per image: split, number, bag, label, instance_label."""
    rng, rows = np.random.default_rng(seed), []
    for split, number in BAGS.items():
        rare, others = np.flatnonzero(labels[split] == RARE), np.flatnonzero(labels[split] != RARE)
        for i in range(number):
            positive = i % 2
            chosen = rng.choice(others, rng.integers(15, 21), replace=False)
            chosen = np.concatenate([chosen, rng.choice(rare, positive * rng.integers(1, 4), replace=False)])
            rows += [
                (split, int(k), f"{split}{i:03}", ("without", "with")[positive], int(labels[split][k] == RARE))
                for k in rng.permutation(chosen)
            ]
    return pd.DataFrame(rows, columns=["split", "number", "bag", "label", "instance_label"])


def main(npz: Path, out: Path) -> None:
    """Write the table; its paths are relative to its folder."""
    with np.load(npz) as stored:
        labels = {split: stored[f"{split}_labels"].ravel() for split in BAGS}
    table = bags_of(labels)
    base = os.path.relpath(npz.resolve(), out.resolve().parent)
    table.insert(0, "image", [f"{base}/{s}_images[{k}]" for s, k in zip(table["split"], table["number"], strict=True)])
    out.parent.mkdir(parents=True, exist_ok=True)
    table.drop(columns="number").to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
