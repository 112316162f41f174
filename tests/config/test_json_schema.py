"""The schema for editors accepts all experiments of the project, and refuses what the workflow refuses."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from biocnn.config.experiment_file import read_yaml
from biocnn.config.json_schema import experiment_schema
from biocnn.config.registry import REGISTRY
from biocnn.workflow.cli import main

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted([*(ROOT / "config/experiments").glob("*.yaml"), *(ROOT / "examples").glob("*.yaml")])
GIVEN = {"data": {"name": "Images", "images": "photos", "masks": "outlines"}, "train": {"epochs": 3}}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Draft202012Validator:
    path = tmp_path_factory.mktemp("schema") / "experiment.schema.json"
    assert main(["schema", str(path)]) == 0
    found = json.loads(path.read_text())
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiments_are_valid(schema: Draft202012Validator, path: Path) -> None:
    schema.validate(read_yaml(path))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("tran", {"epochs": 3}),
        ("train.epoch", 3),
        ("train.epochs", 0),
        ("train.epochs", "3"),
        ("train.epochs", 1.5),
        ("train.threads", True),
        ("train.lr", 0),
        ("train.optimizer", "adam"),
        ("split.folds", 1),
        ("data.widow", 3),
        ("data", {"name": "Imagse"}),
        ("data", "Intervals"),  # needs a genome
        ("model", {"name": "UNet", "chanels": [4]}),
        ("model", {"channels": [4]}),
        ("augment", "defaults"),
        ("augment", [{"name": "shift", "most": 3}]),
        ("loss", {"name": "dice", "smoth": 1}),
        ("data", {"name": "Intervals", "genome": "g.fa", "positives": "p.bed", "negatives": {"name": "gc"}}),
    ],
)
def test_faults_are_refused(schema: Draft202012Validator, where: str, value: Any) -> None:
    given = deepcopy(GIVEN)
    assert schema.is_valid(given)
    section, _, key = where.partition(".")
    given[section] = given.get(section, {}) | {key: value} if key else value
    assert not schema.is_valid(given)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("model", "auto"),
        ("model", {"name": "my_package.nets:MyNet", "width": 3}),
        ("train", None),
        ("augment", ["flip", {"name": "affine", "rotate": 10}, "mine:change"]),
        ("augment", "none"),
        ("split", {"val": ["chr1"], "test": 0.2}),
    ],
)
def test_forms_of_sections_are_accepted(schema: Draft202012Validator, where: str, value: Any) -> None:
    assert schema.is_valid(GIVEN | {where: value})


def test_every_setting_has_a_description() -> None:
    schema = experiment_schema()
    sections = {key: one for key, one in schema["properties"].items() if "properties" in one}
    assert len(sections) > 8
    assert all(one["description"] for one in schema["properties"].values())
    named = {key: one for key, one in schema["$defs"].items() if "properties" in one}
    assert len(named) == sum(len(REGISTRY[kind]) for kind in ("data", "models", "losses", "augment", "negatives"))
    without = [
        f"{name}.{key}"
        for name, one in (sections | named).items()
        for key, setting in one["properties"].items()
        if not setting.get("description")
    ]
    assert without == []
