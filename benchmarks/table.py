"""Write the table of docs/benchmarks.md from the result files."""

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import describe

BEGIN, END = "<!-- made by make bench -->", "<!-- end -->"
HEAD = ("workload", "against", "times faster (range)", "goal", "biocnn", "peer", "remark")


def write_table(page: Path, results: list[Path]) -> None:
    """Replace the text between the markers of the page."""
    rows = [json.loads(path.read_text()) for path in results if path.exists()]
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{_table(rows)}\n{END}{after}")


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [HEAD, ("---",) * len(HEAD)]
    lines += [_cells(line) for row in rows for line in row["lines"]]
    machines = dict.fromkeys(describe(row["machine"]) for row in rows)  # several if rows were run on different machines
    return "\n".join(["", *(f"| {' | '.join(cells)} |" for cells in lines), "", *machines, ""])


def _cells(line: dict[str, Any]) -> tuple[str, ...]:
    ratio = line.get("ratio")
    speed = f"**{_short(ratio['median'])}** ({_short(ratio['min'])}-{_short(ratio['max'])})" if ratio else ""
    rest = (line.get(key, "") for key in ("goal", "ours", "theirs", "remark"))
    return (line["workload"], line["against"], speed, *rest)


def _short(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"
