"""An experiment without a network gets one by its data, or candidates; what the file sets wins."""

from pathlib import Path

import pytest
import yaml

from biocnn.config import code_digests
from biocnn.config.candidates import OF_SEQUENCES
from biocnn.config.experiment import load
from biocnn.config.search_space import own_modules
from biocnn.config.settings import Settings
from biocnn.core.errors import InputError

SEQUENCES = {"name": "Sequences", "table": "t.tsv"}


def settings(folder: Path, **sections: object) -> Settings:
    (folder / "t.tsv").touch()
    (folder / "images").mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(yaml.safe_dump({"data": SEQUENCES} | sections))
    return load(folder / "mine.yaml", folder).settings


@pytest.mark.parametrize(
    "given", [{}, {"model": "auto"}, {"model": {"name": "auto"}}, {"calibrate": {"candidates": None, "folds": None}}]
)
def test_candidates_for_sequences(tmp_path: Path, given: dict) -> None:
    found = settings(tmp_path, **given)
    assert found.calibrate.candidates == OF_SEQUENCES
    assert found.calibrate.names == [f"trial{i}-part0" for i in range(len(found.calibrate.candidates))]
    assert found.model.name == found.calibrate.candidates[0]["model"]["name"]
    assert (found.train.epochs, found.train.batch_size, found.augment) == (None, None, "default")


@pytest.mark.parametrize(
    ("data", "network"),
    [
        ({"name": "Images", "images": "images", "masks": "images"}, "UNet"),
        ({"name": "LabelledImages", "folder": "images"}, "ResNet"),
    ],
)
def test_one_network_for_images(tmp_path: Path, data: dict, network: str) -> None:
    found = settings(tmp_path, data=data)
    assert (found.model.name, found.calibrate.candidates, found.calibrate.names) == (network, None, [])


def test_a_named_network_has_no_rivals(tmp_path: Path) -> None:
    assert settings(tmp_path, model={"name": "DanQ"}).calibrate.names == []


def test_settings_of_the_file_win(tmp_path: Path) -> None:
    found = settings(tmp_path, train={"lr": 0.5}, calibrate={"epochs": 3, "folds": 2})
    assert all("train.lr" not in one for one in found.calibrate.candidates or [])
    assert len(found.calibrate.names) == 2 * len(OF_SEQUENCES)
    own = [{"model": {"name": "DeepBind", "channels": 8}}, {"train.lr": 0.1}]
    assert settings(tmp_path, calibrate={"candidates": own}).calibrate.candidates == own


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"calibrate": {"trials": 5}}, "calibrate.trials, calibrate.draw: draw settings of one network"),
        (
            {"calibrate": {"candidates": [{"split.val": 0.1}]}},
            "calibrate.candidates.0.split.val: cannot be set by a candidate",
        ),
        ({"calibrate": {"candidates": [{"train.seeds": [1]}]}}, "calibrate.candidates.0.train.seeds: cannot be"),
        (
            {"calibrate": {"candidates": [{}, {"model": "UNet"}]}},
            "calibrate.candidates.1.model: UNet is not for sequences",
        ),
        ({"calibrate": {"candidates": [{"train.lr": -1}]}}, "calibrate.candidates.0.train.lr: must be"),
        (
            {"calibrate": {"candidates": [{"model": {"name": "DeepBnd"}}]}},
            "calibrate.candidates.0.model.name: 'DeepBnd'",
        ),
        ({"data": {"name": "my.module:Reader"}}, "model: is missing, and cannot be chosen for data: my.module:Reader"),
        ({"model": None}, "model: names no network (given: null)"),
        ({"model": "autoo"}, "model: autoo is not known\n  did you mean model: auto"),
        ({"model": {"name": "auto", "size": 3}}, "model: {name: auto, size: 3} is not known\n  did you mean"),
        (
            {"calibrate": {"candidates": [{"model": "DanQ"}, {}, {"model": {"name": "DanQ"}}]}},
            "calibrate.candidates.2: same trial as calibrate.candidates.0",
        ),
        (
            {"calibrate": {"candidates": [{"train.lr": 0.1}, {"train.lr": 0.1, "train.words": "none"}]}},
            "calibrate.candidates.1: same trial as calibrate.candidates.0",
        ),
        ({"train": {"epochs": "auto"}}, "for example epochs: 30; left out: decided from the data"),
    ],
)
def test_what_is_refused(tmp_path: Path, sections: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        settings(tmp_path, **sections)
    assert message in str(caught.value)


def test_a_wrong_data_format_is_the_only_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        settings(tmp_path, data={"name": "Sequencs"})
    assert "data.name: 'Sequencs' is not known" in str(caught.value)
    assert "model" not in str(caught.value)


def test_all_faults_of_candidates_are_named(tmp_path: Path) -> None:
    faulty = [
        {"train.lr": -1, "train.l1": -2},
        {"split.val": 0.1, "model": "UNet"},
        {"model": {"name": "DanQ", "k": 1}},
    ]
    with pytest.raises(InputError) as caught:
        settings(tmp_path, calibrate={"candidates": faulty})
    for name in ("0.train.lr", "0.train.l1", "1.split.val", "2.model.k"):
        assert f"calibrate.candidates.{name}: " in str(caught.value)


def test_networks_of_candidates_are_trusted_and_their_code_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        (tmp_path / f"{name}_nets.py").write_text(
            f"class {name.title()}:\n    def __init__(self, *, k: int = 1): ...\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    own = [{"model": "first_nets:First"}, {"model": {"name": "second_nets:Second", "k": 2}}, {"train.lr": 0.1}]
    found = settings(tmp_path, calibrate={"candidates": own})
    assert own_modules(found) == ["first_nets", "second_nets"]
    names = {path.name for path in code_digests.chosen(found, ["model"])}
    assert names == {"deepbind.py", "first_nets.py", "second_nets.py"}
