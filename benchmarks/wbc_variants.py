"""Losses for numbers, and covariates, on white blood cells.

``python -m benchmarks.wbc_variants --data DIR [TABLE ...]`` trains variants of experiments of config/experiments, whose
data ``python -m benchmarks.wbc_cells DIR`` makes, and writes benchmarks/results/wbc_variants.json and the tables of
docs/images.md.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import biocnn
from benchmarks.accuracy import ask, renew, write_between
from benchmarks.data import ROOT
from biocnn.config.experiment_file import read_yaml

WORK, PAGE = ROOT / "benchmarks" / "data" / "wbc_variants", ROOT / "docs" / "images.md"
RESULTS = ROOT / "benchmarks" / "results" / "wbc_variants.json"
# Per table: the experiment, and by name of a variant its settings of data and its loss.
VARIANTS: dict[str, tuple[str, dict[str, tuple[dict[str, Any], str | None]]]] = {
    "losses": ("wbc_nucleus", {loss: ({}, loss) for loss in ("mse", "huber", "gaussian_nll", "quantiles")}),
    "covariates": ("wbc_cut", {"image and diameter": ({}, None), "image alone": ({"covariates": None}, None)}),
}
# Columns of each table: title, output and metric.
METRICS = {
    "losses": {
        "mean error": ("nucleus_share", "mae"),
        "RMSE": ("nucleus_share", "rmse"),
        "coverage of 90% intervals": ("nucleus_share", "coverage90"),
        "their width": ("nucleus_share", "interval_width"),
        "CRPS": ("nucleus_share", "crps"),
    },
    "covariates": {
        "R²": ("nucleus_area", "r2"),
        "mean error, pixels": ("nucleus_area", "mae"),
    },
}


def main() -> None:
    """Train, and update the tables."""
    arguments = ask(__doc__, VARIANTS)
    stored = renew(RESULTS, VARIANTS, partial(measured, arguments.data), arguments.experiments)
    for table, result in stored.items():
        lines = [("", *METRICS[table])]
        lines += [
            (variant, *(_shown(found.get(title, [])) for title in METRICS[table]))
            for variant, found in result["rows"].items()
        ]
        begin, end = f"<!-- made by python -m benchmarks.wbc_variants: {table} -->", f"<!-- end of {table} -->"
        write_between(PAGE, begin, end, [lines], {table: result["machine"]})


def measured(data: Path, table: str) -> dict[str, Any]:
    """Return the metrics of the test split of each variant of a table, a value for each seed."""
    experiment, variants = VARIANTS[table]
    sections = read_yaml(ROOT / "config" / "experiments" / f"{experiment}.yaml")
    seeds = sections["train"].pop("seeds")
    rows: dict[str, dict[str, list[float]]] = {}
    for variant, (changes, loss) in variants.items():
        given = {key: value for key, value in {**sections["data"], **changes}.items() if value is not None}
        folder = WORK / table / variant.replace(" ", "_")
        dataset = _dataset(folder / "dataset", given, data)
        found = rows.setdefault(variant, {})
        for seed in seeds:
            to = folder / str(seed)  # from which a finished training is read
            model = biocnn.train(dataset, sections["model"], loss=loss, seed=seed, folder=to, **sections["train"])
            metrics = model.evaluate(dataset, resamples=0).query("split == 'test'")
            values = metrics.set_index(["output", "metric"])["value"]
            for title, key in METRICS[table].items():
                if key in values.index:
                    found.setdefault(title, []).append(float(values[key]))
        print(table, variant, found, flush=True)
    return {"rows": rows}


def _dataset(folder: Path, given: Mapping[str, Any], data: Path) -> biocnn.Dataset:
    if folder.exists():
        return biocnn.Dataset(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return biocnn.Dataset.from_files(given, folder=folder, data_root=data)


def _shown(values: list[float]) -> str:
    digits = 3 if max(np.abs(values), default=0) < 10 else 0
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}" if values else ""


if __name__ == "__main__":
    main()
