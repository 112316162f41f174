"""Names given by users, for folders and command lines."""

import json
import re
from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError

# Names that the rules use next to the folders of experiments.
TAKEN = ("demo", "genomes", "logs", "benchmarks", "summary.tsv", "runs.tsv", "index.html", "invocation.json")
# Snakemake would stop at such a name, which it takes for a rule that feeds itself, and report recursion.
PERIODIC = re.compile(r"(.+)\1{19,}$")


def check_name(name: str, path: str | Path = "") -> None:
    """Refuse a name that is not safe for a folder in ``results/``.

    Parameters
    ----------
    name
        Name of an experiment.
    path
        File that the name comes from, for the message.
    """
    allowed = "allowed: up to 64 letters, digits, '_', '-' and '.', not starting with '-' or '.'"
    fault = ""
    if not name:
        fault = "is empty"
    elif len(name) > 64:
        fault = f"has {len(name)} characters"
    elif not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        odd = next((c for c in name if not re.match(r"[A-Za-z0-9_.-]", c)), name[:1])
        fault = f"contains {odd!r}" if odd not in "-." else f"starts with {odd!r}"
    elif PERIODIC.search(name):
        fault = "ends in 20 or more repeats"
    elif name in TAKEN:
        fault, allowed = f"is reserved: the workflow writes results/{name}", "for example my_" + name.split(".")[0]
    if fault:
        where = f"{str(path)!r}: " if path else ""
        raise InputError(f"{where}the name of an experiment, {name!r}, {fault}", f"rename it; {allowed}")


def flow(value: Any) -> str:
    """Format a value as YAML on one line, with quotes only if needed."""
    if isinstance(value, list):
        return f"[{','.join(map(flow, value))}]"
    plain = re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", str(value)) or isinstance(value, int)
    return str(value) if plain else f" {json.dumps(value)} "  # spaces: Snakemake strips quotes at the ends
