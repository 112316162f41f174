"""Fixtures of the tests on a GPU; they use nothing of ``tests/conftest.py``, whose packages a GPU machine may lack.

``make gpu`` runs them. With the environment variable BIOCNN_GPU_REHEARSAL they run on the CPU.
"""

import os
from pathlib import Path

import pytest
import torch
from tiny import experiment, images, labelled, sequences, stored

from biocnn.data.dataset import Dataset
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import save_model
from biocnn.training.runs import train_run

REHEARSAL = bool(os.environ.get("BIOCNN_GPU_REHEARSAL"))
MODELS = {
    "sequences": {"name": "DeepBind", "channels": 8, "kernel_size": 9, "strands": "both"},
    "images": {"name": "UNet", "channels": [8, 16]},
    "labelled": {"name": "ResNet", "channels": [4, 4, 4, 4]},
}
RAW = {
    "sequences": lambda: sequences(200, window=40),
    "images": lambda: images(12),
    "labelled": lambda: labelled(24),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked gpu on machines without a GPU."""
    if torch.cuda.is_available() or REHEARSAL:
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def free_algorithms() -> None:
    """Reset torch: training requires deterministic algorithms for the whole process, and tests must be independent."""
    torch.set_deterministic_debug_mode("default")


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Return the first GPU, or the CPU in a rehearsal."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """Return small stored data sets by kind."""
    return {kind: stored(raw(), tmp_path_factory.mktemp(kind)) for kind, raw in RAW.items()}


@pytest.fixture(scope="session")
def files(datasets: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return model files by kind, trained on the device in float32."""
    found = {}
    for kind, dataset in datasets.items():
        train = {"epochs": 2, "batch_size": 8, "threads": 1, "precision": "float32", "words": "none"}
        network, _, meta = train_run(experiment(MODELS[kind], train=train), dataset, 1)
        found[kind] = tmp_path_factory.mktemp("models") / f"{kind}.safetensors"
        save_model(found[kind], network, meta)
    return found


@pytest.fixture
def both(files: dict[str, Path], device: torch.device):
    """Return a function that opens a model on the CPU and on the device."""
    return lambda kind, **settings: (Model(files[kind], "cpu", **settings), Model(files[kind], device, **settings))
