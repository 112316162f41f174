"""What partitions offer is compared with what steps request; `biocnn machine` shows it."""

import sys
from pathlib import Path

import pytest

from biocnn.workflow import cli
from biocnn.workflow.cluster import Request, left_over, partitions, unmet

SINFO = """short*|up|30:00|4000|8|(null)
long|up|7-00:00:00|256000+|64|gpu:a100:4(S:0-1),gpu:v100:2
broken|down|infinite|512000|64|gpu:8
free|up|infinite|8000|4|gpu:2
"""


@pytest.fixture
def sinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sinfo").write_text(f"#!/bin/sh\ncat <<'END'\n{SINFO}END\n")
    (tmp_path / "sinfo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    partitions.cache_clear()
    yield
    partitions.cache_clear()


@pytest.mark.usefixtures("sinfo")
def test_partitions_are_read_from_sinfo() -> None:
    assert [tuple(p) for p in partitions()] == [
        ("short", True, 30, 4000, 8, 0),
        ("long", False, 7 * 1440, 256000, 64, 6),
        ("free", False, sys.maxsize, 8000, 4, 2),
    ]


@pytest.mark.usefixtures("sinfo")
def test_requests_that_no_partition_satisfies_are_named_with_a_remedy() -> None:
    fits, other = Request("predict", "", 30, 4000, 2, 0), Request("explain", "", 31, 4000, 2, 1)
    large, unknown = Request("train", "long,free", 240, 300000, 2, 0), Request("train", "gone", 240, 1, 2, 0)
    many, brief = Request("train", "free", 240, 1, 2, 7), Request("train", "free", 2, 1, 2, 0)
    assert unmet([fits], partitions()) == []
    found = [str(fault) for fault in unmet([other, large, unknown, many, brief, brief], partitions())]
    assert found.pop(0).startswith("SLURM has no partition 'gone' that is up\n  ")
    assert found[0].startswith("train: runtime=2 is too short")
    assert found[1] == (
        "explain: SLURM's default partition offers no node for 4000 MB, 31 minutes, 2 cores, 1 GPU\n"
        "  choose a partition that does: --default-resources slurm_partition=long"
    )
    assert "\n  request less: --config gpus=6; partitions: short" in found[2]
    assert found[3].startswith(
        "train: partition long,free offers no node for 300000 MB, 240 minutes, 2 cores\n  request"
    )
    assert found[3].endswith("free: 4 cores, 8000 MB, 2 GPUs, no time limit")
    assert len(found) == 4


@pytest.mark.usefixtures("sinfo")
def test_jobs_of_many_experiments_without_a_partition_are_one_fault() -> None:
    offered = tuple(p for p in partitions() if p.name == "short")
    groups = [Request("check, dataset", "", 30 + i, 2000 + i, 1, 0, steps=4) for i in range(690)]
    (fault,) = unmet(groups, offered)
    start = "check, dataset in one job: SLURM's default partition offers no node for 2689 MB, 719 minutes, 1 core"
    assert fault.message == start
    assert fault.remedy.startswith("request less: --set-resources check:runtime=7 dataset:runtime=7; partitions: short")
    assert unmet(groups[:1], offered) == []
    fault = unmet([groups[0]._replace(minutes=40, mem_mb=5000, cpus=9)], offered)[0]
    less = "check:mem_mb=4000 check:runtime=7 dataset:mem_mb=4000 dataset:runtime=7 --set-threads check=8 dataset=8"
    assert fault.remedy.startswith(f"request less: --set-resources {less}; partitions")
    assert unmet([groups[0]._replace(minutes=40, steps=20)], offered)[0].remedy.startswith("run fewer steps in one job")


@pytest.mark.usefixtures("sinfo")
def test_jobs_of_a_rule_that_different_partitions_take_are_not_merged() -> None:
    offered = tuple(p._replace(cpus=64) for p in partitions())
    jobs = [Request("train", "short", 60, 1000, 8, 0), Request("train", "short", 60 * 24 * 8, 1000, 8, 0)]
    jobs.append(jobs[0]._replace(mem_mb=64000))
    assert [fault.remedy.rpartition("=")[2] for fault in unmet(jobs, offered)] == ["free", "long"]


def test_jobs_of_a_killed_snakemake_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = "/data/my run"
    queue = f"7 rule_train_wildcards_a b {here}\n8 (null) {here}\n9 rule_train {here}/other\n12 rule_prepare {here}"
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho '{queue}'\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (fault,) = left_over(here)
    assert "still in SLURM's queue: 7, 12\n" in str(fault)
    assert "`scancel 7 12`" in str(fault)
    assert left_over("/data") == []


def test_without_slurm_nothing_is_unmet() -> None:
    assert unmet([Request("predict", "", 10**6, 10**9, 999, 9)], ()) == []


@pytest.mark.usefixtures("sinfo")
def test_a_machine_is_described(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["machine", "--partition", "long", "--gpus", "4"]) == 0
    out = capsys.readouterr().out
    for word in ("cores", "memory", "instructions", "disk here", "GPUs", "Snakemake", "versions"):
        assert f"\n{word}" in f"\n{out}"
    assert "partition     short (default): 8 cores, 4000 MB, 30 minutes\n" in out
    assert cli.main(["machine"]) == 2
    assert "train: SLURM's default partition offers no node for 4000 MB, 240 minutes" in capsys.readouterr().err
    (tmp_path / "sinfo").write_text("#!/bin/sh\necho 'short*|up|30:00|4000|8|(null)'\n")
    partitions.cache_clear()
    assert cli.main(["machine"]) == 0, "requests never exceed what the largest node and the longest limit offer"
    assert cli.main(["machine", "--gpus", "-1"]) == 2
    assert "--gpus -1: must be" in capsys.readouterr().err
