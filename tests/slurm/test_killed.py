"""Snakemake is killed while its jobs continue in SLURM. Steps are a stand-in."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.stand_in import calls, stand_in

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_nothing_starts_beside_the_jobs_of_a_killed_snakemake(
    cluster: dict[str, str], project: Path, polling: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    found = stand_in(tmp_path / "bin")
    environment = cluster | {"PATH": f"{tmp_path / 'bin'}:{cluster['PATH']}", "PYTHONPATH": found["PYTHONPATH"]}
    command = ["snakemake", "--config", "experiments=[demo_nuclei]"]
    profile = ["--workflow-profile", "profiles/slurm", "--latency-wait", "5", *polling, "--until", "dataset"]
    (project / "meanwhile.py").write_text("if step == 'check':\n    import time; time.sleep(600)\n")

    def start() -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *profile], cwd=project, env=environment, capture_output=True, text=True)

    def slurm(*words: str) -> str:
        return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=True).stdout

    with open(tmp_path / "killed.log", "w") as log:
        going = subprocess.Popen([*command, *profile], cwd=project, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 600
        while '"check"' not in ((project / "calls.jsonl").read_text() if (project / "calls.jsonl").exists() else ""):
            assert going.poll() is None, (tmp_path / "killed.log").read_text()
            assert time.monotonic() < deadline, "the job did not start"
            time.sleep(0.2)
    finally:
        going.send_signal(signal.SIGKILL)
    going.wait()
    (project / "meanwhile.py").unlink()

    assert "--unlock" in start().stderr
    slurm(*command, "--unlock")
    refused = start()
    assert refused.returncode == 2, refused.stderr
    ending = r"run `scancel (\d+)`, after which trainings resume\nbiocnn: nothing was submitted\n"
    (left,) = re.findall(ending, refused.stderr)
    assert slurm("squeue", "--me", "--noheader", "--format", "%A").split() == [left]
    slurm("scancel", left)
    while slurm("squeue", "--me", "--noheader"):
        time.sleep(0.5)
    again = start()
    assert again.returncode == 0, again.stderr
    assert [call["step"] for call in calls(project)] == ["simulate", "check", "check", "dataset"]
