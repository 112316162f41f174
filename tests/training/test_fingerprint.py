"""The fingerprint changes with everything that changes the bits of a training, and with nothing else."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import experiment, sequences, stored
from torch import nn
from trainings import network

from biocnn.config import code_digests
from biocnn.config.settings import Explain, Settings, Train
from biocnn.data.dataset import Dataset
from biocnn.training.fingerprint import fingerprint

OWN = """
from torch import nn
from biocnn.augment.move import STAY
from biocnn.losses import bce

class Net(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))

def loss(logits, target, class_weights=None):
    return {factor} * bce(logits, target)

def change(x, u):
    return x, STAY
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(60), tmp_path_factory.mktemp("data"))


def settings(model: Any = "DeepBind", augment: Any = ({"name": "shift", "max": 4},), **train: Any) -> Settings:
    return experiment(model, augment=augment, train=Train(**train))


def mark(data: Dataset, about: Settings | None = None, seed: int = 1, model: nn.Module | None = None) -> str:
    return fingerprint(about or settings(), data, seed, model or network(data), 1)


def test_it_is_reproducible_and_independent_of_the_location_of_the_data(data: Dataset, tmp_path: Path) -> None:
    assert mark(data) == mark(data)
    assert len(mark(data)) == 12
    shutil.copytree(data.folder, tmp_path / "copy")
    facts = (tmp_path / "copy/facts.json").read_text()
    (tmp_path / "copy/facts.json").write_text(facts.replace('"path": "', '"path": "elsewhere/'))
    assert '"elsewhere/' in (tmp_path / "copy/facts.json").read_text()
    assert mark(Dataset(tmp_path / "copy")) == mark(data)


@pytest.mark.parametrize(
    "free", [{"max_minutes": 5}, {"save_minutes": 0}, {"workers": 2}, {"seeds": [1, 2]}, {"learning_curve": [0.5]}]
)
def test_settings_for_stopping_saving_and_loading_do_not_count(free: dict, data: Dataset) -> None:
    assert mark(data, settings(**free)) == mark(data)


def test_later_steps_do_not_count(data: Dataset) -> None:
    assert mark(data, settings().model_copy(update={"explain": Explain(examples=9)})) == mark(data)


@pytest.mark.parametrize(
    "other",
    [
        settings(lr=0.002), settings(threads=1), settings(precision="float32"), settings(epochs=31),
        settings(augment=[]), settings({"name": "DeepBind", "channels": 17}), experiment(loss="bce"),
    ],
)  # fmt: skip
def test_settings_count(other: Settings, data: Dataset) -> None:
    assert mark(data, other) != mark(data)


def test_seed_and_processes_count(data: Dataset) -> None:
    assert mark(data, seed=2) != mark(data)
    assert fingerprint(settings(), data, 1, network(data), 2) != mark(data)


def test_one_label_counts(data: Dataset, tmp_path: Path) -> None:
    assert mark(stored(sequences(60), tmp_path / "same")) == mark(data)
    raw = sequences(60)
    raw.y[3] = 1 - raw.y[3]
    assert mark(stored(raw, tmp_path / "other")) != mark(data)


def test_the_users_own_code_counts(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network, loss and augmentation, each in its own file."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("fp_net", "fp_loss", "fp_change"):
        (tmp_path / f"{name}.py").write_text(OWN.format(factor=1))
    about = experiment(loss="fp_loss:loss", augment=["fp_change:change"])
    import fp_net

    first = mark(data, about, model=fp_net.Net(96, 1))
    assert mark(data, about, model=fp_net.Net(96, 1)) == first
    for name in ("fp_net", "fp_loss", "fp_change"):
        (tmp_path / f"{name}.py").write_text(OWN.format(factor=2))
        assert mark(data, about, model=fp_net.Net(96, 1)) != first, name
        (tmp_path / f"{name}.py").write_text(OWN.format(factor=1))
        assert mark(data, about, model=fp_net.Net(96, 1)) == first, name
    for name in ("fp_net", "fp_loss", "fp_change"):
        del sys.modules[name]


def test_imports_of_the_users_code_count(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    marks = []
    for factor in (1, 2):
        (tmp_path / "fp_helper.py").write_text(f"FACTOR = {factor}\n")
        (tmp_path / "fp_user.py").write_text("from fp_helper import FACTOR\n" + OWN.format(factor="FACTOR"))
        code_digests._digest.cache_clear()  # as in another process
        code_digests._code.cache_clear()
        import fp_user

        marks.append(mark(data, model=fp_user.Net(96, 1)))
    assert marks[0] != marks[1]
    for name in ("fp_user", "fp_helper"):
        del sys.modules[name]


def test_a_class_without_a_file_is_new_each_time(data: Dataset) -> None:
    """A class typed at a prompt may have been changed."""
    space: dict[str, Any] = {"__name__": "prompt"}
    exec(OWN.format(factor=1), space)
    assert mark(data, model=space["Net"](96, 1)) != mark(data, model=space["Net"](96, 1))
