"""Shared code of the accuracy benchmarks: run experiments by the workflow, and update a page from their results."""

import argparse
import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.data import ROOT
from benchmarks.machine import describe, machine
from benchmarks.rows import SNAKEMAKE


def ask(about: str, sets: Iterable[str]) -> argparse.Namespace:
    """Parse the arguments: experiments (all by default), data, cores."""
    names = list(sets)
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("experiments", nargs="*", choices=[*names, []], metavar="EXPERIMENT", help=", ".join(names))
    parser.add_argument("--data", required=True, type=Path, help="where `biocnn fetch` put the sets")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    arguments.experiments = arguments.experiments or names
    return arguments


def run_workflow(work: Path, experiments: list[str], data: Path, cores: int) -> None:
    """Run experiments in a separate folder."""
    (work / "config").mkdir(parents=True, exist_ok=True)
    config = {"data_root": str(data.resolve()), "experiments": experiments, "gpus": 0}
    (work / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    command = [SNAKEMAKE, "-s", ROOT / "Snakefile", "--directory", work, "--cores", cores]
    subprocess.run(list(map(str, command)), check=True)


def renew(path: Path, sets: Iterable[str], read: Callable[[str], dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Read the results of some sets, with the machine they were made on, and merge them with the stored ones."""
    stored = json.loads(path.read_text()) if path.exists() else {}
    stored |= {name: read(name) | {"machine": machine()} for name in names}
    result = {name: stored[name] for name in sets if name in stored}
    path.write_text(json.dumps(result, indent=1) + "\n")
    return result


def write_between(
    page: Path, begin: str, end: str, tables: list[list[tuple[str, ...]]], machines: dict[str, dict[str, Any]]
) -> None:
    """Replace the text between two markers of a page: tables (first row: header), and the machine of each set."""
    ruled = [[header, ("---",) * len(header), *rows] for header, *rows in tables]
    shown = ["\n".join(f"| {' | '.join(cells)} |" for cells in table) for table in ruled]
    titles: dict[str, list[str]] = {}
    for title, facts in machines.items():
        titles.setdefault(describe(facts), []).append(title)
    made = [f"{described}: {'; '.join(names)}." for described, names in titles.items()]
    before, rest = page.read_text().split(begin)
    between = "\n\n".join([begin, *shown, *made, end])
    page.write_text(f"{before}{between}{rest.split(end)[1]}")
