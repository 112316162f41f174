"""The experiments that come with biocnn, and where their data are."""

import re
from pathlib import Path

import pytest

from biocnn.config.experiment_file import read_yaml

EXPERIMENTS = sorted((Path(__file__).parents[1] / "config" / "experiments").glob("*.yaml"))


def root_of(path: Path, request: pytest.FixtureRequest) -> str | Path:
    """Return the folder of the data of an experiment; skip the test if they are absent, or not made yet."""
    if path.stem.startswith("demo"):
        return "."
    root, data = request.getfixturevalue("data_root"), read_yaml(path)["data"]
    made = re.search(r"python -m ([\w.]+) DATA` makes its data", path.read_text())
    if made and not (root / data["table"]).exists():
        pytest.skip(f"{made[1]} makes the data of {path.name}")
    return root
