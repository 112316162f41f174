"""An experiment without a network gets one by its data, or candidates; what the file sets wins."""

from pathlib import Path

import pytest
import yaml

from biocnn.config.candidates import OF_SEQUENCES
from biocnn.config.experiment import load
from biocnn.config.settings import Settings
from biocnn.core.errors import InputError

SEQUENCES = {"name": "Sequences", "table": "t.tsv"}


def settings(folder: Path, **sections: object) -> Settings:
    (folder / "t.tsv").touch()
    (folder / "images").mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(yaml.safe_dump({"data": SEQUENCES} | sections))
    return load(folder / "mine.yaml", folder).settings


@pytest.mark.parametrize("given", [{}, {"model": "auto"}, {"model": {"name": "auto"}}])
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
            "calibrate.candidates.0.split.val: cannot be a candidate's",
        ),
        ({"calibrate": {"candidates": [{"train.seeds": [1]}]}}, "calibrate.candidates.0.train.seeds: cannot be"),
        (
            {"calibrate": {"candidates": [{}, {"model": "UNet"}]}},
            "calibrate.candidates.1.model: UNet is not for sequences",
        ),
        ({"calibrate": {"candidates": [{"train.lr": -1}]}}, "calibrate.candidates.0: train.lr"),
        ({"calibrate": {"candidates": [{"model": {"name": "DeepBnd"}}]}}, "calibrate.candidates.0: model.name"),
        ({"data": {"name": "my.module:Reader"}}, "model: is missing, and cannot be chosen for data: my.module:Reader"),
        ({"model": None}, "model: names no network (given: null)"),
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
