"""Examples in CONTRIBUTING run as printed: a user's format, network, loss and augmentation."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_docs import blocks

import biocnn
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.facts import checked, read
from biocnn.data.raw import Raw
from biocnn.io.fasta import decode
from biocnn.tasks.facts import Facts
from biocnn.workflow.cli import main
from tests.report.simulated_results import coarse

EXPERIMENT = """
data: {name: "shown:MyFormat", table: t.csv, window: 30}
split: {val: 0.2, test: 0.2}
augment: ["shown:my_change"]
model: {name: "shown:MyNet", channels: 8}
loss: {name: "shown:my_loss", gamma: 1.5}
train: {epochs: 2, threads: 1}
explain: {units: 0}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with the module, a table and the experiment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shown.py").write_text("\n\n".join(blocks("CONTRIBUTING.md", "python")))
    rng = np.random.default_rng(0)
    rows = [[f"s{i}", decode(rng.integers(0, 4, 30 if i < 150 else 29).astype(np.uint8)), i % 2] for i in range(160)]
    pd.DataFrame(rows, columns=["name", "bases", "bound"]).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "mine.yaml").write_text(EXPERIMENT)
    return tmp_path


def test_the_examples_run_from_data_to_explanation(folder: Path) -> None:
    for step in (
        "check mine.yaml raw checks.tsv",
        "dataset mine.yaml raw dataset",
        "train mine.yaml dataset fold0-seed1 runs/fold0-seed1/model.safetensors runs/fold0-seed1/history.tsv",
        "predict runs/fold0-seed1/model.safetensors dataset runs/fold0-seed1/predictions --trust shown",
        "baselines mine.yaml dataset baselines",
        "evaluate mine.yaml dataset baselines metrics.tsv per.tsv audit.tsv matches.tsv decided.npz errors.tsv "
        "runs/fold0-seed1",
        "explain runs/fold0-seed1/model.safetensors dataset explain --config mine.yaml",
        "report mine.yaml report.html figures",
    ):
        with coarse():
            assert main(step.split()) == 0, step
    checks = pd.read_csv("checks.tsv", sep="\t").set_index("outcome")["count"]
    assert checks["dropped"] == 10
    assert pd.read_csv("metrics.tsv", sep="\t")["value"].notna().all()
    model = biocnn.load("runs/fold0-seed1/model.safetensors", trust=["shown"])
    assert model.predict(["ACGTACGTAC" * 3]).shape == (1, 1)
    with pytest.raises(InputError, match="trained on windows of 30 bp"):
        model.predict(["ACGT"])


def raw(**changes: object) -> Raw:
    facts = {"kind": "sequence", "task": "binary", "spatial_dims": 1, "in_channels": 4, "out_channels": 1}
    facts |= {"outputs": ["bound"]}
    for key in [key for key in changes if key not in ("id", "group", "y", "x")]:
        value = changes[key]
        facts = {k: v for k, v in facts.items() if k != key} | ({} if value is None else {key: value})
    table = pd.DataFrame({"id": ["a", "b", "c"], "group": [1, 1, 2]})
    table = table.assign(**{key: changes[key] for key in ("id", "group") if key in changes})
    x = changes.get("x", [np.arange(4, dtype=np.uint8)] * 3)
    return Raw(table, x.__getitem__, changes.get("y", np.array([[0], [1], [1]], np.float32)), Facts(**facts))


def test_optional_parts_are_filled_in() -> None:
    found = checked(raw())
    facts = found.facts
    assert (facts.alphabet, facts.iupac, facts.window, facts.flank) == ("ACGT", "unknown", 4, 0)
    assert found.examples["group"].tolist() == ["1", "1", "2"]
    assert checked(found).facts == found.facts
    ragged = [np.zeros(n, np.uint8) for n in (3, 4, 5)]
    assert checked(raw(x=ragged)).facts.window is None
    picture = Raw(
        pd.DataFrame({"id": ["a"], "group": ["a"]}), lambda row: np.zeros((2, 5, 6), np.uint16),
        lambda row: np.zeros((5, 6), np.uint8),
        Facts(kind="image", task="mask", spatial_dims=2, in_channels=2, out_channels=1, outputs=["m"]),
    )  # fmt: skip
    facts = checked(picture).facts
    assert (facts.dtype, facts.channels, facts.normalise) == ("uint16", ["1", "2"], "auto")


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"kind": "sound"}, ["kind: ", "not known, allowed: sequence, image, bag (given: 'sound')"]),
        ({"kind": None, "task": None}, ["kind: field required", "task: field required"]),
        ({"task": None, "outputs": None, "alphabet": "DNA"}, ["task: field required", "outputs", "alphabet", "'DNA'"]),
        ({"window": 7, "id": ["a", "a", "b"]}, ["window is 7", "duplicate id 'a'"]),
        ({"out_channels": 2}, ["out_channels is 2, not 1, for 1 output", "y: shape (3, 1)"]),
        (
            {"task": "binary", "outputs": ["a", "a"], "out_channels": 2},
            ["two outputs have one name", "multilabel"],
        ),
        ({"y": np.array([[0], [2], [1]])}, ["targets other than 0 and 1"]),
        ({"y": np.array([[0], [np.nan], [1]])}, ["all targets of example 1 are unknown"]),
        ({"y": np.array([[0], [np.inf], [1]]), "task": "regression"}, ["a target is infinite"]),
        ({"x": ["ACGT"] * 3}, ["x: row 0 is str"]),
        ({"x": [np.arange(4)] * 3}, ["shape (4,) of int64"]),
        ({"x": [np.full(4, 16, np.uint8)] * 3}, ["from 0 to 15"]),
        ({"flank": 2}, ["not longer than its flanks of 2 bp"]),
        ({"id": [None, "b", "c"]}, ["id is missing in a row"]),
    ],
)
def test_all_errors_of_a_users_reader_are_reported(changes: dict, messages: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read(SimpleNamespace(read=lambda seed, checks: raw(**changes)), 1, Checks())
    for message in messages:
        assert message in caught.value.message
    assert "raw.py" in caught.value.remedy
