"""Fixtures that several test files share."""

import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # tests are judged by what they find, not by how long it takes
settings.load_profile("any machine")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what it runs in the background


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data; a test that asks for it skips where the data are absent."""
    root = Path(os.environ.get("BIOCNN_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()
    if not (root / "genomics").is_dir():
        pytest.skip("real data not found: set BIOCNN_DATA, or put them at ../shared/data")
    return root


@pytest.fixture(autouse=True)
def any_algorithm() -> None:
    """Training asks torch for deterministic algorithms, for the whole process; no test is to depend on another."""
    torch.set_deterministic_debug_mode("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of SLURM wait most of their time: first, so that others run meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("slurm") is None)
