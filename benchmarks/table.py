"""Write the tables of docs/benchmarks.md from the result files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import KINDS, describe

BEGIN, END = "<!-- made by make bench -->", "<!-- end -->"
HEAD = ("workload", "against", "times faster (range)", "goal", "biocnn", "peer", "remark", "machine")
Lines = list[dict[str, Any]]


def write_table(page: Path, results: Path, rows: Sequence[str]) -> None:
    """Replace the text between the markers of the page: one column for each kind of machine, then a table of each."""
    kinds: dict[str, Lines] = {
        kind: [json.loads(path.read_text()) for row in rows if (path := results / kind / f"{row}.json").exists()]
        for kind in KINDS
    }
    found = {kind: found for kind, found in kinds.items() if found or kind != "other"}
    text = _table(*_overview(found))
    if any(row["machine"].get("restricted") for row in found["avx2"]):
        text += "\nAVX2: measured on a processor with AVX-512, restricted to AVX2; see the machines below.\n"
    for kind, each in found.items():
        text += f"\n## On {KINDS[kind]}\n"
        if each:
            machines = list(dict.fromkeys(describe(row["machine"]) for row in each))
            numbers = [str(1 + machines.index(describe(row["machine"]))) for row in each]
            pairs = [(line, number) for row, number in zip(each, numbers, strict=True) for line in row["lines"]]
            text += _table(HEAD, [(*_cells(line), number) for line, number in pairs])
            text += "\n" + "".join(f"{number}. {machine}\n" for number, machine in enumerate(machines, 1))
        else:
            text += "\nNot run.\n"
    before, rest = page.read_text().split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


def _overview(kinds: dict[str, Lines]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and rows of the table with the ratio on each kind of machine; empty where not run."""
    speeds: dict[tuple[str, str, str], dict[str, str]] = {}
    for kind, rows in kinds.items():
        for line in (line for row in rows for line in row["lines"]):
            key = line["workload"], line["against"], line.get("goal", "")
            speeds.setdefault(key, {})[kind] = _speed(line) or line.get("ours", "")
    head = ("workload", "against", "goal", *(KINDS[kind] for kind in kinds))
    return head, [(*key, *(by_kind.get(kind, "") for kind in kinds)) for key, by_kind in speeds.items()]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ("---",) * len(head), *rows])


def _cells(line: dict[str, Any]) -> tuple[str, ...]:
    rest = (line.get(key, "") for key in ("goal", "ours", "theirs", "remark"))
    return (line["workload"], line["against"], _speed(line), *rest)


def _speed(line: dict[str, Any]) -> str:
    if not (ratio := line.get("ratio")):
        return ""
    return f"**{_short(ratio['median'])}** ({_short(ratio['min'])}-{_short(ratio['max'])})"


def _short(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"
