"""A tiny version of a demonstration, run with the cluster profile."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm


@pytest.mark.slow
def test_a_demonstration_run_with_the_profile_takes_three_jobs_and_gives_the_same_bits(
    cluster: dict[str, str], project: Path, polling: list[str], tmp_path: Path
) -> None:
    chosen = ["--config", "gpus=1", "experiments=[demo_nuclei]"]
    command = ["snakemake", "--workflow-profile", "profiles/slurm", *chosen, *polling]
    run = subprocess.run(command, cwd=project, env=cluster, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-8000:]

    jobs = subprocess.run(["scontrol", "show", "jobs"], env=cluster, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"JobState=(\w+)", jobs) == ["COMPLETED"] * 3
    assert re.findall(r"Comment=rule_([a-z]+)", jobs) == ["prepare", "train", "assess"]
    assert len(re.findall(r"gpu:1|gres/gpu=1", jobs)) >= 2, "training and prediction must request a GPU"

    local = tmp_path / "local"
    shutil.copytree(project / "config", local / "config")
    again = ["snakemake", "--snakefile", project / "Snakefile", "--cores", "2", *chosen]
    subprocess.run(again, cwd=local, env=cluster, check=True, capture_output=True, timeout=900)
    assert made(project) == made(local)


def made(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files of numbers and weights, but not of times."""
    files = (
        path for path in folder.glob("results/demo_*/**/*") if path.suffix in {".safetensors", ".npy", ".npz", ".tsv"}
    )
    kept = (path for path in files if not {"benchmarks", "state", "history.tsv"} & {*path.parts})
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}
