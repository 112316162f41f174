"""Facts are immutable attributes, stored unchanged; a damaged field is reported."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tiny import image_facts, images, metadata, sequences, stored

from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.data.raw import Raw
from biocnn.tasks.facts import Decision, Facts, read_facts

SETS = [
    pytest.param(sequences(), {}, id="sequences"),
    pytest.param(sequences(90), {"val": None, "test": None, "folds": 3}, id="folds"),
    pytest.param(images(), {}, id="masks"),
    pytest.param(images(task="instances"), {}, id="objects"),
    pytest.param(images(12), {"val": None, "test": None, "folds": 3}, id="folds of images"),
]


@pytest.mark.parametrize(("raw", "split"), SETS)
def test_the_file_holds_only_known_facts(tmp_path: Path, raw: Raw, split: dict[str, Any]) -> None:
    dataset = stored(raw, tmp_path, **split)
    file = dataset.folder / "facts.json"
    assert read_facts(file).plain() == json.loads(file.read_text())
    assert list(read_facts(file).faults()) == list(dataset.facts.faults()) == []
    told = raw.facts.given().keys() - {"normalise", "decisions"}
    assert {key: getattr(dataset.facts, key) for key in told} == {key: getattr(raw.facts, key) for key in told}


def test_a_fold_has_its_own_and_the_common_facts(tmp_path: Path) -> None:
    every = read_facts(stored(images(12), tmp_path, val=None, test=None, folds=3).folder / "facts.json")
    assert every.of_fold(0).given() == {key: value for key, value in every.given().items() if key != "folds"}
    second = every.of_fold(1)
    assert (second.n, second.intensity, second.sizes) == (every.folds[1].n, every.folds[1].intensity, every.sizes)


def test_facts_and_metadata_are_immutable_and_not_mappings() -> None:
    facts = image_facts(normalise="image", decisions={"patch": {"value": [8, 8]}})
    assert facts.decisions == {"patch": Decision(value=[8, 8])}
    for one in (facts, facts.decisions["patch"], metadata(choose("models", "UNet", "model"), facts)):
        name = next(iter(one.given()))
        with pytest.raises(TypeError):
            one[name]
        with pytest.raises(ValidationError, match="frozen"):
            setattr(one, name, None)
        assert not hasattr(one, "get")


def test_additional_facts_of_a_users_reader_are_kept(tmp_path: Path) -> None:
    raw = sequences()
    raw.facts = Facts(**raw.facts.plain(), instrument="NextSeq")
    assert stored(raw, tmp_path).facts.instrument == "NextSeq"


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"task": "detection"}, ["task: value error, not known, allowed: binary"]),
        ({"outputs": None, "window": "30"}, ["outputs: input should be a valid list", "window: input should be"]),
        ({"n": {"train": 3}}, ["n.val: field required", "n.test: field required"]),
    ],
)
def test_every_damaged_field_is_reported(tmp_path: Path, change: dict, messages: list[str]) -> None:
    file = stored(sequences(), tmp_path).folder / "facts.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(InputError) as caught:
        read_facts(file)
    assert all(message in caught.value.message for message in [str(file), *messages])
    assert "recreates it" in caught.value.remedy
