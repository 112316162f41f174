"""The workflow runs in a folder of one's own: by `biocnn run`, and as a module of another workflow."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from biocnn.config.experiment import read_frozen
from biocnn.core.errors import InputError
from biocnn.workflow.launch import snakefile, snakemake_command
from tests import forked_steps, stand_in
from tests.test_docs import blocks
from tests.workflow.test_workflow import ROOT

(MODULE,) = blocks("docs/running.md", "snakemake")


def command(experiments: tuple[str, ...] = ("a.yaml",), **changes) -> list[str]:
    given = {"cores": None, "data_root": None, "gpus": None, "verbose": True, "more": ()}
    return snakemake_command(experiments, **(given | changes))


def test_options_become_options_of_snakemake() -> None:
    start = ["--snakefile", str(ROOT / "Snakefile")]
    assert command()[4:] == [*start, "--config", "experiments=[a.yaml]"]
    changes = {"cores": "4", "data_root": Path("my data"), "gpus": 0, "more": ["-n", "--retries", "2"]}
    assert command(("b.yaml", "ä.yaml"), **changes)[4:] == [
        "-n", "--retries", "2", *start, "--cores", "4", "--config",
        'experiments=[b.yaml, "\\u00e4.yaml" ]', 'data_root= "my data" ', "gpus=0",
    ]  # fmt: skip
    assert command((), verbose=False)[-4:] == ["--quiet", "host", "reason", "rules"]


@pytest.mark.parametrize("word", ["--config", "--snakefile=other", "-s", "-C"])
def test_options_that_biocnn_sets_are_not_passed_on(word: str) -> None:
    with pytest.raises(InputError, match="because biocnn sets it"):
        command(more=["--dry-run", word])


def test_a_run_needs_a_core() -> None:
    with pytest.raises(InputError, match=r"^--cores: 0"):
        command(cores="0")


def test_the_workflow_belongs_to_the_wheel() -> None:
    """What the Snakefile needs, or names, is installed at the same places relative to it."""
    assert snakefile() == ROOT / "Snakefile"
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    installed = {}
    for folder, patterns in data.items():
        for pattern in patterns:
            installed |= {path: Path(folder) / path.name for path in ROOT.glob(pattern)}
    needed = [ROOT / "Snakefile", *(p for f in ("workflow", "profiles") for p in (ROOT / f).rglob("*") if p.is_file())]
    needed += (ROOT / "config/experiments").glob("*")
    assert installed == {path: Path("share/biocnn") / path.relative_to(ROOT) for path in needed}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with nothing but data, one line of which is faulty, and an experiment."""
    letters = "".join("ACGT"[(i * i + i // 7) % 4] for i in range(3000))
    (tmp_path / "genome.fa").write_text(f">chr1\n{letters}\n")
    (tmp_path / "peaks.bed").write_text("chr1\t100\t200\nchr1\t900\t800\n")
    (tmp_path / "mine.yaml").write_text("data: {name: Intervals, genome: genome.fa, positives: peaks.bed}\n")
    return tmp_path


CAUSE = [
    "results/mine/logs/check.log:",
    "biocnn check: peaks.bed line 2: end 800 is before start 900",
    "  are columns 2 (start) and 3 (end) swapped?",
]


def test_a_run_in_ones_own_folder_ends_with_the_cause_of_its_failure(project: Path) -> None:
    call = [sys.executable, "-m", "biocnn.workflow.cli", "run", "mine.yaml", "--cores", "1"]
    environment = {**forked_steps.environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(call, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-3:] == CAUSE
    assert read_frozen(project / "results/mine/experiment.json").command == "biocnn run mine.yaml --cores 1"
    assert not any(words in done.stderr for words in ("reason:", "Building DAG", "Select jobs", "Execute 1 jobs"))


def test_the_workflow_is_a_module_of_another_one(project: Path) -> None:
    (project / "Snakefile").write_text(MODULE.replace("my_tf", "mine"))
    environment = forked_steps.environment()
    text = stand_in.run(project, environment, snakefile=project / "Snakefile", status=1)
    assert text.splitlines()[-3:] == CAUSE
    assert "Error in rule biocnn_check:" in text
