"""A sheet of twelve experiments on a cluster where all that can go wrong does, against an undisturbed local run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from biocnn.core.files import read_json
from biocnn.workflow.manifest import first_difference
from tests import forked_steps
from tests.slurm.conftest import ROOT

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

FACTORS, SEEDS = ("Abf1", "Cbf1", "Rap1", "Reb1"), (1, 2, 3)
BASE = {
    "data": {"name": "Intervals", "genome": "genomics/yeast_sacCer3/sacCer3.fa.gz", "window": 101},
    "split": {"val": ["chrII", "chrXII"], "test": ["chrIV", "chrVII", "chrXV"]},
    "model": {"name": "DeepBind", "channels": 16, "kernel_size": 12, "strands": "both"},
    "train": {"epochs": 40, "batch_size": 32, "threads": 1},
    "metrics": {"resamples": 50},
    "explain": {"regions": 50, "examples": 2, "units": 0},
}
PREPARE, ASSESS = ("check", "dataset"), ("predict", "baselines", "evaluate", "negatives", "explain", "report")
# Steps are forked from a process that has imported everything, except for trainings, which SLURM must reach.
COMMAND = """#!/bin/bash
if [ "$1" != train ]; then exec {forked}/biocnn "$@"; fi
if [ ! -L out_of_memory ]; then {python} {greedy} "${{@: -1}}" & fi
exec {python} -m biocnn.workflow.cli "$@"
"""
# Beside the first training that has saved a state, in the same job: more memory than this job requested.
GREEDY = """
import os, signal, sys, time
from pathlib import Path
training = os.getppid()
while not any(Path(sys.argv[1]).glob("[!.]*/*.state")):
    time.sleep(0.2)
    if os.getppid() != training:
        sys.exit()
try:
    os.symlink(sys.argv[1], "out_of_memory")
except FileExistsError:
    sys.exit()
os.kill(training, signal.SIGSTOP)  # it must not end first
kept = bytearray(4_500_000_000)
time.sleep(300)
"""


@pytest.mark.parametrize("cluster", [12000], indirect=True)  # MB: for two trainings at once
def test_twelve_experiments_survive_lack_of_memory_preemption_and_kills_with_the_same_bits(
    cluster: dict[str, str], polling: list[str], tmp_path: Path, data_root: Path
) -> None:
    work, local, forked = tmp_path / "slurm", tmp_path / "local", forked_steps.environment()
    for folder in (work / "config", local / "config", tmp_path / "bin"):
        folder.mkdir(parents=True)
    for folder in (work, local):
        shutil.copy(ROOT / "config/config.yaml", folder / "config")
    (tmp_path / "factors.yaml").write_text(yaml.safe_dump(BASE))
    rows = [
        f"{factor}_seed{seed}\tgenomics/yeast_sacCer3/peaks/{factor}.bed\t[{seed}]"
        for factor in FACTORS
        for seed in SEEDS
    ]
    (tmp_path / "factors.tsv").write_text("\n".join(["name\tdata.positives\ttrain.seeds", *rows]) + "\n")
    own, greedy, log = tmp_path / "bin/biocnn", tmp_path / "greedy.py", tmp_path / "slurm.log"
    greedy.write_text(GREEDY)
    own.write_text(
        COMMAND.format(forked=forked["PATH"].split(os.pathsep)[0], python=f"{sys.executable} -P", greedy=greedy)
    )
    own.chmod(0o755)
    cluster |= {"PATH": f"{own.parent}{os.pathsep}{cluster['PATH']}", "PYTHONPATH": str(ROOT)}
    config = ["--config", "experiments=[../factors.tsv]", f"data_root={data_root}"]
    command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), *config]
    profile = ["--workflow-profile", str(ROOT / "profiles/slurm"), "--latency-wait", "5", *polling]
    profile += [
        "--default-resources",
        "slurm_partition=scavenge",
    ]  # jobs of another partition preempt those of this one
    # One job for the short steps of several experiments.
    profile += ["--groups", *(f"{step}=prepare" for step in PREPARE), *(f"{step}=assess" for step in ASSESS)]
    profile += ["--group-components", "prepare=12", "assess=4"]
    used: list[float] = []  # CPU seconds of each Snakemake on the cluster
    held: list[str] = []  # trainings that were stopped, so that they cannot end before something happens to them

    def start() -> subprocess.Popen[bytes]:
        with open(log, "a") as stream:
            return subprocess.Popen([*command, *profile], cwd=work, env=cluster, stdout=stream, stderr=stream)

    def end(process: subprocess.Popen[bytes]) -> int:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        used.append(usage.ru_utime + usage.ru_stime)
        return process.returncode

    def slurm(*words: str) -> str:
        return subprocess.run(words, cwd=work, env=cluster, capture_output=True, text=True, check=True).stdout

    def until(found: str) -> None:
        while found not in log.read_text():
            assert going.poll() is None, log.read_text()[-8000:]
            time.sleep(0.5)

    def hold() -> dict[str, Any]:
        """Stop another training that has saved its state, and return what its lock file states."""
        while True:
            assert going.poll() is None, log.read_text()[-8000:]
            for run in work.glob("results/*/runs/*"):
                if run.parts[-3] not in held and any(run.glob("state/[!.]*/*.state")) and (run / "state/lock").exists():
                    lock = read_json(run / "state/lock")
                    os.kill(lock["pid"], signal.SIGSTOP)
                    assert not (run / "model.safetensors").exists(), f"{run} ended too early"
                    held.append(run.parts[-3])
                    return lock
            time.sleep(0.1)

    with open(tmp_path / "local.log", "w") as stream:
        plain = subprocess.Popen([*command, "--cores", "1"], cwd=local, env=forked, stdout=stream, stderr=stream)
    going = start()
    try:
        until("Error in rule train")
        first = (work / "out_of_memory").readlink().parts[1]
        held.append(first)
        for _ in range(2):
            hold()
            slurm("sbatch", "--partition=main", "--exclusive", "--wait", "--output=/dev/null", "--wrap=true")
        stopped = hold()
        slurm("scancel", "--signal=TERM", str(stopped["job"]))
        os.kill(stopped["pid"], signal.SIGCONT)
        hold()
        going.send_signal(signal.SIGKILL)
        end(going)
        slurm(*command, "--unlock")
        going = start()
        assert end(going) == 2
        refused = re.findall("still in SLURM's queue: .*\n.*`scancel (.*?)`", log.read_text())
        slurm("scancel", *refused[-1].split())
        while slurm("squeue", "--noheader", "--me"):
            time.sleep(0.5)
        going = start()
        assert end(going) == 0, log.read_text()[-8000:]
        assert plain.wait() == 0, (tmp_path / "local.log").read_text()[-8000:]
    finally:
        for process in (going, plain):
            process.kill()
            process.wait()

    attempts = {name: "".join(map(Path.read_text, sorted(work.glob(f"results/{name}/logs/train-*")))) for name in held}
    assert len(attempts) == 5
    assert all("resuming from step" in text for text in attempts.values())
    assert re.findall(r"\[attempt \d: (\d+) MB", attempts[first])[:2] == ["4000", "8000"]
    manifests = sorted(path.relative_to(local) for path in local.glob("results/*/manifest.json"))
    assert len(manifests) == 12
    equal: Counter[bool] = Counter()
    for path in manifests:
        sides = [read_json(folder / path) for folder in (local, work)]
        assert first_difference(*sides) == ("", []), path
        differ = [name for name, text in sides[0]["outputs"].items() if sides[1]["outputs"][name] != text]
        assert {name.rpartition("/")[2] for name in differ} <= {"raw.json", "history.tsv", "report.html"}, "with times"
        equal += Counter({True: len(sides[0]["outputs"]) - len(differ), False: len(differ)})
    subprocess.run([own, "verify", "results"], cwd=work, env=cluster, check=True)
    assert [*work.rglob("*.tmp"), *work.glob(".snakemake/incomplete/*")] == [], "nothing is left half-written"
    submitted = log.read_text().count("submitted with SLURM jobid")
    print(f"{submitted} jobs; files with the same bytes: {equal}; CPU seconds of Snakemake: {used}")
