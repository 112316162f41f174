"""Jobs that SLURM refuses or ends: too little memory, a time limit. Steps are a stand-in."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.stand_in import calls, stand_in

pytestmark = pytest.mark.slurm

PROFILE = ["snakemake", "--workflow-profile", "profiles/slurm", "--config", "experiments=[demo_sequences]"]
FIRST = "len(list(Path('results/demo_sequences/logs').glob('{step}*.attempt*.log'))) < 2"


def go(cluster: dict[str, str], project: Path, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "bin").mkdir(exist_ok=True)
    found = stand_in(tmp_path / "bin")
    environment = cluster | {"PATH": f"{tmp_path / 'bin'}:{cluster['PATH']}", "PYTHONPATH": found["PYTHONPATH"]}
    command = [*PROFILE, "--latency-wait", "5", *options]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=900)


def jobs(cluster: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return what was submitted, in order: rule or group, state, memory."""
    told = subprocess.run(
        ["scontrol", "--oneliner", "show", "jobs"], env=cluster, capture_output=True, text=True
    ).stdout
    pattern = r"JobState=(\w+).*? TRES=\S*mem=(\w+).*? Comment=rule_([a-z]+)"
    return [(name, state, memory) for state, memory, name in re.findall(pattern, told)]


@pytest.mark.slow
def test_few_jobs_are_submitted_and_one_that_ran_out_of_memory_gets_more(
    cluster: dict[str, str], project: Path, polling: list[str], tmp_path: Path
) -> None:
    first = FIRST.format(step="dataset")
    (project / "meanwhile.py").write_text(
        f"if step == 'dataset' and {first}:\n    import time; kept = bytearray(1_800_000_000); time.sleep(60)\n"
    )
    run = go(cluster, project, tmp_path, *polling)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-8000:]
    assert jobs(cluster) == [
        ("genome", "COMPLETED", "1000M"),
        ("prepare", "FAILED", "1500M"),  # this SLURM has no cgroups, and does not know that memory was the reason
        ("prepare", "COMPLETED", "3000M"),
        ("train", "COMPLETED", "4000M"),
        ("assess", "COMPLETED", "2000M"),
    ]
    steps = [call["step"] for call in calls(project)]
    assert steps.count("train") == 1
    logs = project / "results/demo_sequences/logs"
    assert sorted(path.name for path in logs.glob("*.attempt*.log")) == ["dataset.attempt1.log", "dataset.attempt2.log"]


def test_a_request_that_no_partition_satisfies_is_named_and_nothing_submitted(
    cluster: dict[str, str], project: Path, tmp_path: Path
) -> None:
    run = go(cluster, project, tmp_path, "--set-resources", "genome:mem_mb=9000", "train:runtime=1")
    assert run.returncode == 2
    last = run.stderr.strip().splitlines()[-5:]
    remedy = last.pop(3)
    assert last == [
        "biocnn: train: runtime=1 is too short: the last minute is for saving the state",
        "  use at least --set-resources train:runtime=3",
        "biocnn: genome: SLURM's default partition offers no node for 9000 MB, 10 minutes, 1 core",
        "biocnn: nothing was submitted",
    ]
    assert remedy.startswith("  request less: --set-resources genome:mem_mb=6000; partitions: main")
    assert jobs(cluster) == []


@pytest.mark.slow
def test_a_training_is_signalled_before_its_time_limit_and_resumes_with_the_same_request(
    cluster: dict[str, str], project: Path, polling: list[str], tmp_path: Path
) -> None:
    first = FIRST.format(step="train")
    (project / "meanwhile.py").write_text(
        f"if step == 'train' and {first}:\n"
        "    import signal, time\n"
        "    signal.signal(signal.SIGTERM, lambda *_: os._exit(75)); time.sleep(600)\n"
    )
    run = go(cluster, project, tmp_path, *polling, "--until", "train", "--set-resources", "train:runtime=3")
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-8000:]
    trainings = [job for job in jobs(cluster) if job[0] == "train"]
    assert trainings == [("train", "FAILED", "4000M"), ("train", "COMPLETED", "4000M")]
    first_log = (project / "results/demo_sequences/logs/train-fold0-seed1.attempt1.log").read_text()
    assert re.search(r"\[exit status 75 after \d+ s\]\n$", first_log), first_log
