"""docs/outputs.md lists all that the workflow writes: outputs of rules, and files and columns of the demonstrations."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/outputs.md").read_text()
SECTIONS = re.split(r"^###? ", PAGE, flags=re.MULTILINE)[1:]
RESULTS = [folder for name in ("demo_sequences", "demo_nuclei") if (folder := ROOT / "results" / name).is_dir()]


def names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def first_cells(section: str) -> list[str]:
    return [name for line in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in names(line)]


FILES = [name for section in SECTIONS if "| file |" in section for name in first_cells(section)]
COLUMNS = {
    name: first_cells(section)
    for section in SECTIONS
    if "| column |" in section
    for name in names(section.partition("\n")[0])
}


def listed(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def test_outputs_of_rules_are_listed() -> None:
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    paths = re.findall(r'"results/\{experiment\}/([^"]+)"', rules)
    paths = {re.sub(r"\{\w+\}", "x", path) for path in paths if not path.startswith(("logs/", "benchmarks/"))}
    assert len(paths) > 20
    folders = {"/".join(name.split("/")[:-1]) for name in FILES}
    missing = {path for path in paths if not listed(path, FILES) and not listed(path, [*folders])}
    runs = {"runs/x"}  # only names the folder of the files below
    assert missing - runs == set()


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_files_and_columns_of_the_demonstrations_are_listed(folder: Path) -> None:
    assert json.loads((folder / "experiment.json").read_text())
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    files = [name for name in files if not name.endswith(".snakemake_timestamp")]
    assert [name for name in files if not listed(name, FILES)] == []
    unknown = []
    for name in files:
        if name.endswith((".tsv", ".csv")) and not name.startswith(("benchmarks/", "figures/")):
            columns = pd.read_csv(folder / name, sep="\t" if name.endswith(".tsv") else ",", nrows=0).columns
            known = next((found for pattern, found in COLUMNS.items() if fnmatchcase(name, pattern)), None)
            if "state/" in name:
                continue
            assert known, f"{name}: no table of columns"
            unknown += [f"{name}: {column}" for column in columns if not listed(column, known)]
    assert unknown == []
