"""``make gpu`` with only the packages that it needs; rehearsed on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LACKS = (
    "captum", "hypothesis", "imagecodecs", "jinja2", "matplotlib", "memelite", "monai", "nibabel", "pyBigWig",
    "pydicom", "pyfaidx", "pysam", "sklearn", "snakemake", "tangermeme", "zarr",
)  # fmt: skip
# Python imports this module at its start, in every process.
BLOCKER = f"""
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name.partition(".")[0] in {LACKS!r} else find(name, path, target)
)
"""


@pytest.mark.slow
def test_everything_runs_in_small_sizes_with_few_packages(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    variables = {"BIOCNN_GPU_REHEARSAL": "1", "OUT": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu.run"], capture_output=True, text=True, cwd=ROOT,
        env=os.environ | variables, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "gpu_rehearsal.json").read_text())
    outcomes = [word for file in result["tests"].values() for word in file["outcomes"].values()]
    assert outcomes.count("passed") > 15
    assert set(outcomes) <= {"passed", "skipped"}
    assert len(result["rows"]) == 10
    for name, row in result["rows"].items():
        assert any(line.get("side") == "biocnn" and line.get("rate") for line in row["lines"]), name
        assert any("idle" in line for line in row["lines"]), name
