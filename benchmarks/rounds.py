"""Run sides alternately, A B C A B C ..., each in a fresh process of its environment, with equal data and threads."""

import json
import os
import statistics
import subprocess
from dataclasses import dataclass
from typing import Any

from benchmarks.data import ROOT
from benchmarks.environments import NotInstalled, python_of

US = "biocnn"


@dataclass(frozen=True)
class Side:
    """A module of ``benchmarks/sides``, its environment, and its task."""

    module: str
    environment: str
    task: dict[str, Any]


def in_turn(sides: dict[str, Side], rounds: int) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Return the results of each side in each round, and the sides that could not run, with the reason."""
    missing: dict[str, str] = {}
    for name, side in sides.items():
        try:
            python_of(side.environment)
        except NotInstalled as error:
            missing[name] = f"not installed: {error}"
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            if name in missing:
                continue
            try:
                result = run(side)
            except RuntimeError as error:
                if name == US:
                    raise
                missing[name] = f"failed: {error}"
                continue
            found[name].append(result)
            times = ", ".join(f"{case} {seconds:.3g} s" for case, seconds in result["seconds"].items())
            print(f"  round {number + 1}/{rounds}  {name}: {times}", flush=True)
    return {name: results for name, results in found.items() if name not in missing}, missing


def run(side: Side) -> dict[str, Any]:
    """Run a side in a separate process."""
    threads = str(side.task["threads"])
    command = [python_of(side.environment), "-m", f"benchmarks.sides.{side.module}", json.dumps(side.task)]
    # Settings of the caller's OpenMP, such as threads that sleep instead of waiting, would slow down small steps.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "KMP_"))}
    environment = inherited | {"OMP_NUM_THREADS": threads, "TQDM_DISABLE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def spread(values: list[float]) -> dict[str, float]:
    """Return median, minimum and maximum."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(found: dict[str, list[dict[str, Any]]], peer: str, case: str) -> dict[str, float]:
    """Return the ratio of the peer's time to ours over rounds."""
    pairs = zip(found[US], found[peer], strict=True)
    return spread([theirs["seconds"][case] / ours["seconds"][case] for ours, theirs in pairs])
