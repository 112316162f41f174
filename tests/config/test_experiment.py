"""The frozen copy of an experiment: jobs read the checked settings, whatever happens to the YAML file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from shipped import EXPERIMENTS, root_of

from biocnn.config.experiment import load, read_frozen
from biocnn.core.errors import InputError

TEXT = (
    "data: {name: Images, table: results/t.csv, colors: {'1e5': [255, 0, 0], 'ä: {b}\\': [0, 0, 1]}}\n"
    "model: {name: UNet}\ntrain: {lr: 1e-5}\nsplit: {val: [1, '01', '1e5']}\n"
)


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(TEXT)
    load(tmp_path / "mine.yaml").freeze(tmp_path / "experiment.json")
    return tmp_path / "experiment.json"


def test_it_can_be_read_without_the_yaml_file(frozen: Path) -> None:
    wanted = load(frozen.with_name("mine.yaml"))
    frozen.with_name("mine.yaml").unlink()
    assert load(frozen) == read_frozen(frozen) == wanted


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in EXPERIMENTS])
def test_every_experiment_that_comes_with_biocnn_can_be_frozen(
    path: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    experiment = load(path, root_of(path, request))
    experiment.freeze(tmp_path / "experiment.json")
    assert read_frozen(tmp_path / "experiment.json") == experiment


def test_it_is_written_only_if_something_changed(frozen: Path) -> None:
    before = frozen.stat().st_mtime_ns
    load(frozen.with_name("mine.yaml")).freeze(frozen)
    assert frozen.stat().st_mtime_ns == before
    frozen.with_name("mine.yaml").write_text(TEXT + "# a thought")
    load(frozen.with_name("mine.yaml")).freeze(frozen)
    assert frozen.stat().st_mtime_ns == before
    frozen.with_name("mine.yaml").write_text(TEXT + "seed: 2")
    load(frozen.with_name("mine.yaml")).freeze(frozen)
    assert frozen.stat().st_mtime_ns != before


def test_settings_changed_by_hand_are_refused(frozen: Path) -> None:
    found = json.loads(frozen.read_text())
    found["settings"]["train"]["lr"] = 1.0
    frozen.write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"experiment\.json: edited by hand") as caught:
        read_frozen(frozen)
    assert "YAML file" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"digest": 1}', '{"digest": 1, "name": "x", "other": 2}', "\x00"])
def test_other_files_are_refused(frozen: Path, text: str) -> None:
    frozen.write_text(text)
    with pytest.raises(InputError, match=r"experiment\.json: damaged"):
        read_frozen(frozen)
    frozen.unlink()
    with pytest.raises(InputError, match=r"experiment\.json: no such file"):
        read_frozen(frozen)


def test_files_count_by_their_content(frozen: Path) -> None:
    experiment = replace(load(frozen), contents={"results/t.csv": "t.csv abc"})
    assert '"table": "t.csv abc"' in experiment.only("data")
    assert experiment.settings.data.table == Path("results/t.csv")
