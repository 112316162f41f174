"""A training that a cluster preempts and restarts."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests import forked_steps, stand_in

pytestmark = pytest.mark.slurm


def test_a_preempted_training_resumes_to_the_same_bits(
    cluster: dict[str, str], project: Path, polling: list[str]
) -> None:
    path = project / "config" / "experiments" / "demo_sequences.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["train"] |= {"epochs": 40, "steps_per_epoch": 10, "threads": 1}
    path.write_text(yaml.safe_dump(settings))
    run = Path("results/demo_sequences/runs/fold0-seed1")
    target = [str(run / "model.safetensors"), "--config", "experiments=[demo_sequences]"]
    stand_in.run(project, forked_steps.environment(), *target)
    uninterrupted = (project / run / "model.safetensors").read_bytes()
    shutil.rmtree(project / run)  # with the state, from which a finished training would be restored

    # A partition whose jobs are stopped and requeued as soon as a job in another partition needs the machine.
    partition = ["--default-resources", "slurm_partition=scavenge", "--set-resources", "train:mem_mb=2000"]
    command = ["snakemake", *target, "--workflow-profile", "profiles/slurm", *partition, *polling]
    with open(project / "run.log", "w") as log:
        going = subprocess.Popen(command, cwd=project, env=cluster, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 240
            while len(list((project / run).glob("state/[!.]*/*.state"))) < 2:
                assert going.poll() is None, (project / "run.log").read_text()[-8000:]
                assert time.monotonic() < deadline, "no state was saved"
                time.sleep(0.02)
            training = json.loads((project / run / "state/lock").read_text())["pid"]
            os.kill(training, signal.SIGSTOP)  # it must not end first; SLURM lets it continue, and terminates it
            urgent = ["sbatch", "--partition=main", "--exclusive", "--wait", "--output=/dev/null", "--wrap=true"]
            subprocess.run(urgent, cwd=project, env=cluster, check=True, timeout=120)
            assert not (project / run / "model.safetensors").exists(), "it ended before it could be preempted"
            assert going.wait(timeout=300) == 0, (project / "run.log").read_text()[-8000:]
        finally:
            going.kill()
    assert "resuming from step" in (project / "results/demo_sequences/logs/train-fold0-seed1.log").read_text()
    assert (project / run / "model.safetensors").read_bytes() == uninterrupted
