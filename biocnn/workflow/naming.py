"""Names that a user chose, for folders and for command lines."""

import json
import re
from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError

# What the rules write beside the folders of experiments.
TAKEN = ("demo", "genomes", "logs", "benchmarks", "summary.tsv", "index.html")
# Snakemake's sign of rules that feed themselves: it would stop at such a name, and speak of recursion.
PERIODIC = re.compile(r"(.+)\1{19,}$")


def check_name(name: str, path: str | Path) -> None:
    """Refuse a name that makes no safe folder under results.

    Parameters
    ----------
    name
        Of an experiment.
    path
        The file that it comes from, for the message.
    """
    allowed = "allowed: up to 64 letters, digits, '_', '-' and '.', of which the last two do not come first"
    fault = ""
    if len(name) > 64:
        fault = f"has {len(name)} characters"
    elif not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        odd = next((c for c in name if not re.match(r"[A-Za-z0-9_.-]", c)), name[:1])
        fault = f"holds {odd!r}" if odd not in "-." else f"starts with {odd!r}"
    elif PERIODIC.search(name):
        fault = "repeats itself at its end, 20 times or more"
    elif name in TAKEN:
        fault, allowed = f"is taken: the workflow writes results/{name}", "for example my_" + name.split(".")[0]
    if fault:
        raise InputError(f"{str(path)!r}: the name of an experiment, {name!r}, {fault}", f"rename the file; {allowed}")


def flow(value: Any) -> str:
    """A value as YAML on one line, in quotes only where they are needed."""
    if isinstance(value, list):
        return f"[{','.join(map(flow, value))}]"
    plain = re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", str(value)) or isinstance(value, int)
    return str(value) if plain else f" {json.dumps(value)} "  # Snakemake would take quotes off the ends
