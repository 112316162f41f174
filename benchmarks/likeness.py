"""Likeness of cells of kinds that no network was trained on, by the loss of the training.

``python -m benchmarks.likeness --data DIR`` trains networks on five kinds of blood cells, compares images of the test
split of three others by their vectors, and writes benchmarks/results/likeness.json and the table of docs/transfer.md.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import biocnn
from benchmarks.accuracy import renew, write_between
from benchmarks.blood_tables import KINDS, THREE
from benchmarks.data import ROOT
from biocnn.evaluation.likeness import write_features

WORK, PAGE = ROOT / "benchmarks" / "data" / "likeness", ROOT / "docs" / "transfer.md"
RESULTS = ROOT / "benchmarks" / "results" / "likeness.json"
BEGIN, END = "<!-- made by python -m benchmarks.likeness -->", "<!-- end -->"
LOSSES, SEEDS = ("cross_entropy", "nt_xent", "triplet"), (1, 2, 3)
NETWORK = {"name": "ResNet", "channels": [16, 32, 64, 128]}
METRICS = {
    "verification_auroc": 'AUROC of "same kind or not"',
    "recall_at_1": "recall at 1",
    "accuracy_1_shot": "accuracy, 1 known image",
    "accuracy_5_shot": "accuracy, 5 known images",
}
TITLE = "Vectors of blood cells"


def main() -> None:
    """Train, compare, and update the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    npz = parser.parse_args().data / "images" / "blood_cells_28" / "blood_cells_28.npz"
    WORK.mkdir(parents=True, exist_ok=True)
    known = _dataset(npz, "known", [name for name in KINDS if name not in THREE])
    write_page(renew(RESULTS, [TITLE], partial(measured, known, _dataset(npz, "new", THREE)), [TITLE]))


def measured(known: biocnn.Dataset, new: biocnn.Dataset, _: str) -> dict[str, Any]:
    """Return the metrics of likeness of each loss, and of intensities alone: a value for each seed."""
    found: dict[str, dict[str, list[float]]] = {}
    for loss in LOSSES:
        for seed in SEEDS:
            folder = WORK / f"{loss}{seed}"
            model = biocnn.train(
                known, NETWORK, loss=loss, seed=seed, epochs=8, augment="default", threads=1, folder=folder, log=None
            )
            (folder / "features").mkdir(exist_ok=True)
            for line in write_features(model, new.folder, folder / "features"):
                print(loss, seed, line, flush=True)
            written = pd.read_csv(folder / "features" / "likeness.tsv", sep="\t")
            table = written.set_index(["vectors", "metric"])["value"]
            metrics = model.evaluate(known, resamples=0).query("split == 'test' and metric == 'accuracy'")
            of_loss = found.setdefault(loss, {})
            of_loss.setdefault("accuracy", []).append(float(metrics["value"].iloc[0]))
            for metric in METRICS:
                of_loss.setdefault(metric, []).append(float(table["network", metric]))
    simple = {metric: [float(table["intensities", metric])] for metric in METRICS}
    return {"rows": found | {"intensities, no network": simple}}


def write_page(result: dict[str, Any]) -> None:
    """Replace the table between the markers of the page."""
    columns = {**METRICS, "accuracy": "accuracy on the five kinds"}
    lines = [("vectors of", *columns.values())]
    for loss, values in result[TITLE]["rows"].items():
        lines.append((loss, *(_shown(values.get(metric, [])) for metric in columns)))
    write_between(PAGE, BEGIN, END, [lines], {TITLE: result[TITLE]["machine"]})


def _shown(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}" if values else ""


def _dataset(npz: Path, name: str, kinds: Any) -> biocnn.Dataset:
    """Return the images of some kinds, in the splits of the file."""
    folder = WORK / name
    if folder.exists():
        return biocnn.Dataset(folder)
    with np.load(npz) as stored:
        splits = {
            split: (stored[f"{split}_images"], stored[f"{split}_labels"].ravel()) for split in ("train", "val", "test")
        }
    rows = {split: np.isin(np.array(KINDS)[y], kinds) for split, (_, y) in splits.items()}
    x = np.concatenate([images[rows[split]] for split, (images, _) in splits.items()])
    y = np.concatenate([np.array(KINDS)[labels[rows[split]]] for split, (_, labels) in splits.items()])
    split = np.repeat([*rows], [of_split.sum() for of_split in rows.values()])
    return biocnn.Dataset.from_arrays(x, y, split=split, axes="YXC", classes=list(kinds), folder=folder)


if __name__ == "__main__":
    main()
