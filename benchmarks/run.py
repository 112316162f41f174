"""Run rows of the benchmark: ``python -m benchmarks.run [ROW ...] [--rounds N] [--busy]``; all by default."""

import argparse
import json
import subprocess
import sys

from benchmarks.data import ROOT
from benchmarks.machine import BUSY, kind_of, load, machine
from benchmarks.rows import ROWS
from benchmarks.table import write_table

RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Run, write one result file per row and kind of machine, and update the table; a row that fails stops no other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    parser.add_argument("--busy", action="store_true", help=f"run although the load is above {BUSY:g}")
    arguments = parser.parse_args()
    if (busy := load()) > BUSY and not arguments.busy:
        sys.exit(f"the load of this machine is {busy:g}, above {BUSY:g}: wait until nothing else runs, or add --busy")
    facts = machine()
    folder = RESULTS / kind_of(facts)
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in arguments.rows or ROWS:
        print(name, flush=True)
        try:
            result = {"row": name, "machine": facts, **ROWS[name](arguments.rounds)}
        except (RuntimeError, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {error}")
            continue
        (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        write_table(PAGE, RESULTS, list(ROWS))
    if failed:
        sys.exit("failed: " + "\n".join(failed))


if __name__ == "__main__":
    main()
