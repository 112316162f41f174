"""Run rows of the benchmark: ``python -m benchmarks.run [ROW ...] [--rounds N]``; all by default."""

import argparse
import json

from benchmarks.data import ROOT
from benchmarks.machine import machine
from benchmarks.rows import ROWS
from benchmarks.table import write_table

RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Run, write one result file per row, and update the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for name in arguments.rows or ROWS:
        print(name, flush=True)
        result = {"row": name, "machine": machine(), **ROWS[name](arguments.rounds)}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        write_table(PAGE, [RESULTS / f"{row}.json" for row in ROWS])


if __name__ == "__main__":
    main()
