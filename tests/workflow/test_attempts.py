"""The logs of failed attempts are kept; they and the scheduler show why a step ended and what to request next."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from biocnn.workflow import attempts
from biocnn.workflow.attempts import MEMORY, NODE, STOPPED, TIME, last_attempt
from biocnn.workflow.closing import failures
from biocnn.workflow.resources import Resources, log_of
from tests.stand_in import ROOT, run, stand_in

SCRIPT = Path(attempts.__file__).with_name("attempt.sh")


def attempt(log: Path, command: str, mem_mb: int = 4000, minutes: int = 10, job: str = "") -> int:
    """Run a step as rules do; return its exit status."""
    line = 'set -euo pipefail; source "$0"; attempt "$@"'
    environment = {"PATH": os.environ["PATH"]} | ({"SLURM_JOB_ID": job} if job else {})
    words = ["bash", "-c", line, str(SCRIPT), str(log), str(mem_mb), str(minutes), "bash", "-c", command]
    return subprocess.run(words, env=environment, capture_output=True, check=False).returncode


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file with the state that scontrol reports; there is no accounting."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "sacct").write_text("#!/bin/sh\necho 'Slurm accounting storage is disabled' >&2; exit 1\n")
    (folder / "scontrol").write_text(
        f"#!/bin/sh\necho \"JobId=$4 Reason=None JobState=$(cat '{folder}/state') Requeue=1\"\n"
    )
    for name in ("sacct", "scontrol"):
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "state"


def test_a_step_that_succeeds_at_once_leaves_one_log(tmp_path: Path) -> None:
    assert attempt(tmp_path / "train.log", "echo epoch 1; echo warning >&2") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["train.log"]
    assert (tmp_path / "train.log").read_text() == "epoch 1\nwarning\n"


def test_failed_attempts_and_those_that_follow_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    assert last_attempt(log) is None
    assert attempt(log, "echo first; exit 3", mem_mb=5, minutes=7, job="12") == 3
    log.unlink()  # as Snakemake does
    first = last_attempt(log)
    assert first is not None
    assert (first.mem_mb, first.minutes, first.job, first.status, first.text, first.cause) == (
        5,
        7,
        "12",
        3,
        "first",
        "",
    )
    assert attempt(log, "echo second; kill -9 $$") == 137
    assert attempt(log, "echo third") == 0
    last = last_attempt(log)
    assert last is not None
    assert (last.status, last.text, last.job) == (0, "third", "none")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "train.attempt1.log", "train.attempt2.log", "train.attempt3.log", "train.log",
    ]  # fmt: skip


def test_a_signal_lets_the_step_save_and_report(tmp_path: Path) -> None:
    # A scheduler signals the step and the shell around it.
    save = "trap 'echo saved; exit 75' TERM; sleep 0.5; kill -TERM $PPID $$; sleep 1"
    assert attempt(tmp_path / "a.log", save) == 75
    assert (tmp_path / "a.log").read_text() == "saved\n"


@pytest.mark.parametrize(
    ("command", "state", "cause"),
    [
        ("kill -9 $$", "OUT_OF_MEMORY", MEMORY),
        ("kill -9 $$", "FAILED", MEMORY),
        ("kill -9 $$", "NODE_FAIL", NODE),
        ("kill -9 $$", "TIMEOUT", TIME),
        ("exit 143", "TIMEOUT", TIME),
        ("exit 75", "FAILED", TIME),  # signalled a minute before the limit of a minute
        ("exit 75", "PREEMPTED", STOPPED),
        ("exit 2", "FAILED", ""),
        ("echo 'biocnn train: not enough memory: 9 GB'; exit 2", "FAILED", MEMORY),
    ],
)
def test_the_cause_is_known_from_the_exit_status_and_the_scheduler(
    tmp_path: Path, scheduler: Path, command: str, state: str, cause: str
) -> None:
    scheduler.write_text(state)
    attempt(tmp_path / "a.log", command, minutes=1, job="7")
    found = last_attempt(tmp_path / "a.log")
    assert found is not None
    assert found.cause == cause


def test_only_what_ran_out_is_requested_again_with_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wildcards = SimpleNamespace(items=lambda: {"experiment": "a", "run": "fold0-seed1"}.items())
    log = log_of("predict", wildcards)
    assert log == Path("results/a/logs/predict-fold0-seed1.log")
    log.parent.mkdir(parents=True)
    rule = Resources(lambda wildcards: 1000.0, lambda: (9000, 200))("predict")

    def asked() -> tuple[int, int]:
        return rule["mem_mb"](wildcards, 1), rule["runtime"](wildcards, 1)

    first = asked()
    assert first == (4000, 110)
    attempt(log, "exit 2", *first)
    assert asked() == first, "an error of the step"
    attempt(log, "kill -9 $$", *first)
    assert asked() == (8000, 110)
    attempt(log, "kill -9 $$", *asked())
    assert asked() == (9000, 110), "no node has more"
    attempt(log, "exit 75", 9000, 110)
    assert asked() == (9000, 110), "stopped"
    attempt(log, "exit 143", 9000, 1, job="1")
    assert asked() == (9000, 110)
    attempt(log, "exit 0", *asked())
    assert asked() == first


def test_causes_and_remedies_are_the_last_lines(tmp_path: Path, scheduler: Path) -> None:
    scheduler.write_text("OUT_OF_MEMORY")
    log, snakemake = tmp_path / "predict.log", tmp_path / "snakemake.log"
    attempt(log, "echo loading; kill -9 $$", mem_mb=3000, job="5")
    member = "    Error in rule {0}:\n        log: {1}/{0}.log (check log file(s) for error details)\n"
    members = (member.format(rule, tmp_path) for rule in ("predict", "report"))
    snakemake.write_text("Error in group assess-a:\n    jobs:\n    [Sun Nov 29]\n" + "".join(members))
    log.unlink()
    assert failures([str(snakemake)]).splitlines() == [
        "",
        f"{tmp_path}/predict.attempt1.log:",
        "loading",
        "biocnn: predict ran out of memory (SLURM: OUT_OF_MEMORY); it had requested 3000 MB",
        "  on a cluster, request more: --set-resources predict:mem_mb=6000",
        "  on this machine, run fewer jobs at once (--cores), or reduce memory in training (train.memory_gb)",
    ]
    attempt(log, "true")
    assert failures([str(snakemake)]) == "", "it succeeded later"


def test_jobs_that_never_ran_are_reported_with_the_words_of_the_scheduler(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        "Error in rule train:\n    message: SLURM sbatch failed: Requested node configuration is not available\n"
        "    jobid: 3\n    log: absent.log (check log file(s) for error details)\n"
    )
    assert failures([str(tmp_path / "log")]).endswith("Requested node configuration is not available")


def test_a_killed_step_is_reported_with_the_setting_to_change(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "bin").mkdir()
    (tmp_path / "meanwhile.py").write_text("if step == 'train': os.kill(os.getpid(), 9)")
    text = run(tmp_path, stand_in(tmp_path / "bin"), "--config", "experiments=[demo_sequences]", status=1)
    assert "because it ran out of memory" in text
    assert "--set-resources train:mem_mb=8000" in text
