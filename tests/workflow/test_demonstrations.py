"""Results of `make run` in the demonstrations: the planted motif, and the nuclei."""

from pathlib import Path

import pandas as pd
import pytest

RESULTS = Path(__file__).parents[2] / "results"


def metric(experiment: str, name: str) -> float:
    path = RESULTS / experiment / "metrics.tsv"
    if not path.exists():
        pytest.skip("the demonstrations were not run: make run")
    table = pd.read_csv(path, sep="\t")
    return table[(table["split"] == "test") & (table["metric"] == name)]["value"].iloc[0]


def test_the_planted_motif_is_found_and_named() -> None:
    assert metric("demo_sequences", "auroc") > 0.95
    best = pd.read_csv(RESULTS / "demo_sequences/explain/matches.tsv", sep="\t").iloc[0]
    assert best["target_name"] == "CTCF"
    assert best["p_value"] < 1e-8


def test_the_nuclei_are_outlined() -> None:
    assert metric("demo_nuclei", "average_precision_iou_0.5") >= 0.9
