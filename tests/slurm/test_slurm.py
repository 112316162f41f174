"""The demonstrations, made tiny, on a SLURM cluster of one node that the test starts for itself."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = Path(__file__).with_name("slurm_local.sh")
NEEDED = ("sbatch", "slurmctld", "slurmd", "munged")
WITH_SBIN = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])

pytestmark = pytest.mark.slurm


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment in which the commands of SLURM reach a private cluster of 2 CPUs, 6 GB and one stand-in GPU."""
    missing = [program for program in NEEDED if not shutil.which(program, path=WITH_SBIN)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install --no-install-recommends slurm-wlm munge")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # SLURM's sockets lie in it: their paths must stay short
    # Output goes to a file: the daemons keep it open, and a pipe would never end.
    with open(tmp_path / "cluster.log", "w") as log:
        started = subprocess.run([CLUSTER, "start", folder, "2", "6000", "1"], stdout=log, stderr=log, timeout=60)
    try:
        assert started.returncode == 0, (tmp_path / "cluster.log").read_text()
        python = Path(sys.executable).parent
        path = os.pathsep.join([str(folder / "bin"), str(python), os.environ["PATH"]])
        yield {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=False, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the workflow whose demonstrations train for a moment."""
    folder = tmp_path / "project"
    for name in ("config", "profiles", "workflow"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    for path in (folder / "config" / "experiments").glob("demo_*.yaml"):
        settings = yaml.safe_load(path.read_text())
        settings["train"] |= {"epochs": 1, "steps_per_epoch": 4}
        if settings["data"]["name"] == "Images":
            settings["train"]["patch"] = [64, 64]
            settings["model"]["channels"] = [8, 16]
        path.write_text(yaml.safe_dump(settings))
    return folder


def test_both_demonstrations_run_through_the_profile(cluster: dict[str, str], project: Path) -> None:
    polling = ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"]
    command = ["snakemake", "--workflow-profile", "profiles/slurm", "--config", "gpus=1", *polling]
    run = subprocess.run(command, cwd=project, env=cluster, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-8000:]
    assert (project / "results" / "index.html").exists()

    jobs = subprocess.run(["scontrol", "show", "jobs"], env=cluster, capture_output=True, text=True, check=True).stdout
    states = re.findall(r"JobState=(\w+)", jobs)
    assert set(states) == {"COMPLETED"}
    assert len(states) >= 14, "every rule of both experiments was a job"
    assert "gpu:1" in jobs, "training asked for a GPU"


def test_preempted_training_goes_on_to_the_same_bits(cluster: dict[str, str], project: Path) -> None:
    path = project / "config" / "experiments" / "demo_sequences.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["train"] |= {"epochs": 300, "steps_per_epoch": 30, "threads": 1}
    path.write_text(yaml.safe_dump(settings))
    run = Path("results/demo_sequences/runs/fold0-seed1")
    command = ["snakemake", run / "model.safetensors", "--config", "experiments=[demo_sequences]"]
    polling = ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"]
    # A partition whose jobs are stopped and queued again as soon as somebody wants the machine in another.
    partition = ["--default-resources", "slurm_partition=scavenge", "--set-resources", "train:mem_mb=2000"]
    scavenging = ["--workflow-profile", "profiles/slurm", *partition]
    with open(project / "run.log", "w") as log:
        going = subprocess.Popen([*command, *scavenging, *polling], cwd=project, env=cluster, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 240
            while len(list((project / run).glob("state/[!.]*/*.state"))) < 2:
                assert going.poll() is None, (project / "run.log").read_text()[-8000:]
                assert time.monotonic() < deadline, "no state was saved"
                time.sleep(0.2)
            urgent = ["sbatch", "--partition=main", "--exclusive", "--wait", "--output=/dev/null", "--wrap=sleep 1"]
            subprocess.run(urgent, cwd=project, env=cluster, check=True, timeout=120)
            assert not (project / run / "model.safetensors").exists(), "it ended before it could be preempted"
            assert going.wait(timeout=300) == 0, (project / "run.log").read_text()[-8000:]
        finally:
            going.kill()
    assert "going on from step" in (project / "results/demo_sequences/logs/train-fold0-seed1.log").read_text()
    preempted = (project / run / "model.safetensors").read_bytes()

    subprocess.run([*command, "--forcerun", "train", "--cores", "2"], cwd=project, env=cluster, check=True, timeout=300)
    assert (project / run / "model.safetensors").read_bytes() == preempted
