"""A private SLURM cluster of one node, and tiny versions of the demonstrations."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = Path(__file__).with_name("slurm_local.sh")
NEEDED = ("sbatch", "slurmctld", "slurmd", "munged")
WITH_SBIN = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return an environment in which SLURM commands reach a private cluster of 2 CPUs, 6 GB and one stand-in GPU.

    A test may ask for other MB of memory, as the parameter of this fixture.
    """
    missing = [program for program in NEEDED if not shutil.which(program, path=WITH_SBIN)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install --no-install-recommends slurm-wlm munge")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # for SLURM's sockets, whose paths must be short
    # Output goes to a file: daemons keep it open, so a pipe would never end.
    memory = str(getattr(request, "param", 6000))
    with open(tmp_path / "cluster.log", "w") as log:
        started = subprocess.run([CLUSTER, "start", folder, "2", memory, "1"], stdout=log, stderr=log, timeout=60)
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
    """Return a copy of the workflow whose demonstrations train only briefly."""
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


@pytest.fixture
def polling() -> list[str]:
    """Return options with which Snakemake polls the state of jobs every two seconds."""
    return ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"]
