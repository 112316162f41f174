"""The last lines of a run name what was made, or the cause of a failure and its remedy."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from biocnn.workflow.closing import failures, headlines

FAILURE = """CalledProcessError in file "dataset.smk", line 53:
Command 'source attempt.sh;  attempt {log} 1500 10 biocnn {rule} a.json raw' returned non-zero exit status 2.
Error in rule {rule}:
    message: None
    jobid: 3
    input: results/a/raw
    output: results/a/dataset
    log: {log} (check log file(s) for error details)
    shell:
        biocnn {rule} ...
"""


def test_results_are_named_with_their_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "summary.tsv"
    products = {name: [f"{name}.html"] for name in ("b", "a", "none", "gone")}
    products["b"].append("new")
    assert headlines(products, str(table), "index.html") == ""
    for name in ("b", "a", "none"):
        Path(f"{name}.html").touch()
    assert headlines(products, str(table), "index.html").splitlines()[-2:] == ["none:", "  none.html"]
    Path("index.html").touch()
    table.write_text(
        "experiment\tcomparison\ttarget_name\tp_value\tmetric\theadline\tvalue\n"
        "a\tbeats a 6-mer model\tReb1\t1e-7\tauroc\tTrue\t0.9123\na\t\t\t\tece\tFalse\t.1\n"
        "earlier\t\t\t\tauroc\tTrue\t0.5\nb\t\t\t\tdice\tTrue\t0.75\nnone\t\t\t\t\t\t\n"
    )
    assert headlines(products, str(table), "index.html").splitlines() == [
        "",
        "b: dice 0.750", "  b.html", "  new",
        "a: auroc 0.912, beats a 6-mer model, motif like Reb1 (p = 1e-07)", "  a.html",
        "none: ", "  none.html",
        "Reports: index.html",
    ]  # fmt: skip
    assert f"\n  {tmp_path}/a.html\n" in headlines(products, str(table), "index.html", absolute=True)
    os.utime("a.html", (time.time() + 9,) * 2)
    assert "\na:\n  a.html\n" in headlines(products, str(table), "index.html"), "newer than the summary"


@pytest.mark.parametrize("rule", ["check", "biocnn_check"])  # the latter in a workflow that uses this as a module
def test_the_last_message_of_each_failed_job_is_repeated(tmp_path: Path, rule: str) -> None:
    first, second, snakemake = (tmp_path / name for name in ("check.log", "train.log", "snakemake.log"))
    first.write_text("read 3 images\nbiocnn check: 2 faults:\na.png: damaged\nb.png: damaged\n  copy them again\n")
    second.write_text("epoch 1\nTraceback (most recent call last):\n  ...\nZeroDivisionError: division by zero\n")
    text = FAILURE.format(rule=rule, log=first) + FAILURE.format(rule="train", log=second)
    expected = [
        "",
        f"{first}:", "biocnn check: 2 faults:", "a.png: damaged", "b.png: damaged", "  copy them again",
        f"{second}:", "biocnn: train failed without a message", *second.read_text().splitlines(),
    ]  # fmt: skip
    whole = f"Building DAG of jobs...\n{text}{text}"
    on_a_cluster = "\n".join(line for line in whole.splitlines() if not line.startswith("Command"))
    quiet = "\n".join(line for line in whole.splitlines() if line.startswith("Command"))
    for log in (whole, on_a_cluster, quiet):
        snakemake.write_text(log)
        assert failures([str(snakemake)]).splitlines() == expected


def test_many_failures_are_counted(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(FAILURE.format(rule=f"r{i}", log=f"absent{i}") for i in range(9)))
    assert failures([str(tmp_path / "log")]).endswith("r4 failed without a message\n... and 4 more jobs failed")
    (tmp_path / "log").write_text("Nothing to be done\n")
    assert failures([str(tmp_path / "log")]) == ""


def test_the_text_follows_what_is_printed_later() -> None:
    code = "from biocnn.workflow.closing import at_end; at_end(lambda: 'last'); at_end(str); print('first')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "first\nlast\n"
