"""Sheets in the workflow, and jobs, which read nothing but the frozen copy of their own experiment."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from biocnn.core.errors import InputError
from biocnn.workflow import contents
from biocnn.workflow.launch import OPTIONS
from biocnn.workflow.rules import Workflow

ROOT = Path(__file__).parents[2]
BASE = {
    "data": {"name": "Intervals", "genome": "genome.fa", "positives": "peaks.bed"},
    "split": {"folds": 3},
    "train": {"seeds": [1, 2, 3]},
}
GIVEN = {"experiments": ["sheet.tsv", "cells.yaml"], "gpus": 2}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(">chr1\nACGT\n")
    (tmp_path / "cells").mkdir()
    for name in ("peaks.bed", "other.bed"):
        (tmp_path / name).touch()
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE))
    (tmp_path / "cells.yaml").write_text(yaml.safe_dump({"data": {"name": "LabelledImages", "folder": "cells"}}))
    (tmp_path / "sheet.tsv").write_text("name\tbase\tdata.positives\none\tbase.yaml\t\ntwo\tbase.yaml\tother.bed\n")
    return tmp_path


def of(name: str) -> SimpleNamespace:
    return SimpleNamespace(experiment=name)


def test_rows_are_experiments_like_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Workflow(GIVEN, ROOT)
    assert found.names == ["one", "two", "cells"]
    assert len(found.runs(of("two"))) == 9
    assert len(found.fastas) == 1, "both rows share an encoded genome"
    assert found.experiments["two"].files["data.positives"] == Path("other.bed")
    start, _, end = found.experiments["two"].command.partition(" --cores")
    assert start.startswith("snakemake results/two/report.html"), "the command makes this experiment only"
    assert "sheet.tsv" in end
    monkeypatch.setenv(OPTIONS, "--cores 2")
    found = Workflow(GIVEN, ROOT).experiments["two"]
    assert found.command == "biocnn run sheet.tsv --cores 2 -- results/two/report.html"


def test_a_file_that_rows_share_is_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(contents, "sha256", lambda path: hashed.append(Path(path).name) or "a" * 64)
    (folder / "sheet.tsv").write_text("name\tbase\none\tbase.yaml\ntwo\tbase.yaml\n")
    Workflow(GIVEN, ROOT).freeze()
    assert sorted(hashed) == ["genome.fa", "peaks.bed"]


def test_jobs_read_no_other_experiment(folder: Path) -> None:
    before = Workflow(GIVEN, ROOT)
    before.freeze()
    for name in ("sheet.tsv", "base.yaml", "cells.yaml", "results/one/experiment.json"):
        (folder / name).write_text("data: [")
    shutil.rmtree("results/cells")
    after = Workflow({"experiments": "none"}, ROOT, begins=False)
    assert (after.names, after.train_command, after.fastas) == (before.names, before.train_command, before.fastas)
    for ask in ("runs", "genome", "negatives", "calibrations"):
        assert getattr(after, ask)(of("two")) == getattr(before, ask)(of("two"))
    assert after.depends("data")(of("two")) == before.depends("data")(of("two"))


@pytest.mark.parametrize(
    ("name", "words"), [("cells", "duplicate name 'cells'"), ("a b", "contains ' '"), ("", "is empty")]
)
def test_names_in_sheets_are_checked_like_those_of_files(folder: Path, name: str, words: str) -> None:
    (folder / "sheet.tsv").write_text(f"name\tbase\n{name}\tbase.yaml\n")
    with pytest.raises(InputError) as caught:
        Workflow(GIVEN | {"experiments": ["cells.yaml", "sheet.tsv"]}, ROOT)
    assert caught.value.message.startswith(f"sheet.tsv line 2 ({name}): " if name else "sheet.tsv line 2: ")
    assert words in caught.value.message


def test_files_that_are_no_sheets_are_refused(folder: Path) -> None:
    (folder / "sheet.tsv").rename("sheet.txt")
    with pytest.raises(InputError, match=r"sheet\.txt: neither a YAML file nor a sheet"):
        Workflow({"experiments": ["sheet.txt"]}, ROOT)


def test_faults_of_sheets_and_files_are_reported_together(folder: Path) -> None:
    (folder / "sheet.tsv").write_text(
        "name\tbase\tsplit.folds\tsplit.test\none\tbase.yaml\t\t\ntwo\tbase.yaml\tno\t[chr9]\n"
    )
    (folder / "cells.yaml").write_text("data: {name: LabelledImages, folder: cellz}")
    with pytest.raises(InputError) as caught:
        Workflow(GIVEN, ROOT)
    assert "sheet.tsv line 3 (two): split.folds: must be" in str(caught.value)
    assert "cells.yaml: data.folder: no such file or folder: cellz" in str(caught.value)
