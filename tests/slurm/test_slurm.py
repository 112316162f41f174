"""A tiny version of a demonstration, run with the cluster profile."""

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm


@pytest.mark.slow
def test_a_demonstration_runs_with_the_profile(cluster: dict[str, str], project: Path, polling: list[str]) -> None:
    chosen = ["--config", "gpus=1", "experiments=[demo_nuclei]"]
    command = ["snakemake", "--workflow-profile", "profiles/slurm", *chosen, *polling]
    run = subprocess.run(command, cwd=project, env=cluster, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-8000:]
    assert (project / "results" / "index.html").exists()

    jobs = subprocess.run(["scontrol", "show", "jobs"], env=cluster, capture_output=True, text=True, check=True).stdout
    states = re.findall(r"JobState=(\w+)", jobs)
    assert set(states) == {"COMPLETED"}
    assert len(states) >= 10, "every rule must be a job"
    assert "gpu:1" in jobs, "training must request a GPU"
