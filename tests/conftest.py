"""Fixtures shared by several test files."""

import gc
import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# Timing is not part of the tests; each run draws other examples.
settings.register_profile("any machine", deadline=None, max_examples=50)
settings.load_profile("any machine")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what it runs in the background
gc.disable()  # what is imported and collected stays: searching it for garbage takes a fifth of the time of collection


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of real data; tests that use it are skipped if the data are absent."""
    root = Path(os.environ.get("BIOCNN_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()
    if not (root / "genomics").is_dir():
        pytest.skip("real data not found: set BIOCNN_DATA, or put them at ../shared/data")
    return root


@pytest.fixture(autouse=True)
def any_algorithm() -> None:
    """Reset torch: training requires deterministic algorithms for the whole process, and tests must be independent."""
    torch.set_deterministic_debug_mode("default")


FIRST = (
    "tests/slurm/test_preemption.py",
    "tests/workflow/test_workflow.py",
    "tests/training/test_resume.py",
    "tests/workflow",
    "tests/slurm",
    "tests/report",
    "tests/core",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that take longest first, so that all workers end together; those of SLURM wait, so not at once."""
    items.sort(key=lambda item: [not item.nodeid.startswith(place) for place in FIRST])


def pytest_collection_finish() -> None:
    """Search for garbage from now on, but only in what tests create."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are CPUs: tests of SLURM, of locks and of kills mostly wait; each imports all."""
    return (os.cpu_count() or 1) + 1
