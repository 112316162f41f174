"""Small samples are named beside the numbers, and folds are proposed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import image_facts, sequence_facts

from biocnn.report.results import Results
from biocnn.report.sample_size import scarce, small
from biocnn.tasks.facts import Measured


def results(folder: Path, facts, counts: dict[str, int], y: dict[str, list[float]] | None = None) -> Results:
    """Return results with examples in splits, in groups of two."""
    (folder / "dataset").mkdir(exist_ok=True)
    (folder / "dataset/facts.json").write_text(json.dumps(facts.plain()))
    splits = [split for split, number in counts.items() for _ in range(number)]
    table = pd.DataFrame({"id": [f"i{i}" for i in range(len(splits))], "split": splits})
    table = table.assign(group=[f"g{i // 2}" for i in range(len(splits))], **(y or {}))
    table.to_csv(folder / "dataset/examples.tsv", sep="\t", index=False)
    return Results(folder)


@pytest.mark.parametrize(("number", "words"), [(9, "only 9 test images"), (1, "only 1 test image"), (10, "")])
def test_less_than_ten_segmented_images_are_few(number: int, words: str, tmp_path: Path) -> None:
    found = results(tmp_path, image_facts(task="mask", outputs=["cell"]), {"train": 30, "test": number})
    assert small(found) == words
    assert bool(scarce(found)) == bool(words)


@pytest.mark.parametrize(("positives", "words"), [(49, "only 49 positives of 60 test sequences"), (50, "")])
def test_less_than_fifty_positives_are_few(positives: int, words: str, tmp_path: Path) -> None:
    y = np.r_[np.ones(40), np.zeros(40), np.ones(positives), np.zeros(60 - positives)]
    found = results(tmp_path, sequence_facts(), {"train": 80, "test": 60}, {"y_0": y.tolist()})
    assert small(found) == words


def test_folds_are_proposed_once(tmp_path: Path) -> None:
    facts = image_facts(task="mask", outputs=["cell"])
    found = results(tmp_path, facts, {"train": 4, "test": 3})
    assert "With folds (split: {folds: 4}), each of the 7 examples is tested once." in scarce(found)
    measured = facts.model_copy(update={"folds": [Measured(), Measured()]})
    found = results(tmp_path, measured, {"train": 4, "test": 3})
    assert "folds" not in scarce(found)
    found = results(tmp_path, facts, {"train": 2, "test": 2})
    assert "folds" not in scarce(found), "two groups make no folds"
