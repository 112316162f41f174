"""A training that a cluster preempts and restarts."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slurm


def test_a_preempted_training_resumes_to_the_same_bits(
    cluster: dict[str, str], project: Path, polling: list[str]
) -> None:
    path = project / "config" / "experiments" / "demo_sequences.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["train"] |= {"epochs": 100, "steps_per_epoch": 30, "threads": 1}
    path.write_text(yaml.safe_dump(settings))
    run = Path("results/demo_sequences/runs/fold0-seed1")
    command = ["snakemake", run / "model.safetensors", "--config", "experiments=[demo_sequences]"]
    # A partition whose jobs are stopped and requeued as soon as a job in another partition needs the machine.
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
    assert "resuming from step" in (project / "results/demo_sequences/logs/train-fold0-seed1.log").read_text()
    preempted = (project / run / "model.safetensors").read_bytes()

    shutil.rmtree(project / run / "state")  # from which a finished training would be restored
    subprocess.run([*command, "--forcerun", "train", "--cores", "2"], cwd=project, env=cluster, check=True, timeout=300)
    assert (project / run / "model.safetensors").read_bytes() == preempted
