"""Test and measure on a GPU: ``python -m benchmarks.gpu.run [ROW ...]``; by default, the tests marked gpu and all rows.

Each test file and each row has a process and a time limit of its own, so that one that hangs or fails does not affect
the results of the others. Results are written as they come to ``gpu_CARD.json`` in the folder that the environment
variable OUT names, or in ``benchmarks/results``. With BIOCNN_GPU_REHEARSAL everything runs in small sizes on the CPU.
"""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REHEARSAL = bool(os.environ.get("BIOCNN_GPU_REHEARSAL"))
TOTAL = 3000 if REHEARSAL else 470  # seconds for everything
PATIENCE = 8 if REHEARSAL else 1  # factor of the time limits
TESTS = {"tests/gpu/test_gpu_functions.py": 60, "tests/gpu/test_gpu_training.py": 100}  # seconds for each file
PYTEST = [
    "-m", "pytest", "-v", "-m", "gpu", "--confcutdir=tests/gpu", "-o", "pythonpath=. tests", "-p", "no:cacheprovider",
    "-p", "no:hypothesispytest", "-W", "default", "--tb=short", "--color=no",
]  # fmt: skip
NEEDED = (
    "torch", "numpy", "pandas", "scipy", "skimage", "safetensors", "pydantic", "yaml", "tqdm", "tifffile", "PIL",
    "pytest",
)  # fmt: skip
OPTIONAL = ("monai",)  # a peer


def installed(name: str) -> bool:
    """Return whether a package can be found."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def limited(command: list[str], seconds: float, out: Path) -> str:
    """Run a command with its output in a file; return "", or how it failed. Its child processes end with it."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    with open(out, "w") as sink, open(out.with_suffix(".log"), "w") as log:
        both = {"stdout": sink, "stderr": log, "cwd": ROOT, "env": environment, "start_new_session": True}
        process = subprocess.Popen([sys.executable, *command], **both)
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"stopped after {seconds:.0f} s"
        finally:
            end_group(process)
    return f"exit status {status}" if status else ""


def end_group(process: subprocess.Popen) -> None:
    """End a process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def outcomes(text: str) -> dict[str, str]:
    """Return the outcome of each test from the output of pytest -v; "unfinished" for the one that was running."""
    found = re.findall(r"^(\S+::\S+(?:\[[^\]\n]*\])?) *(PASSED|FAILED|SKIPPED|ERROR)?", text, re.MULTILINE)
    return {name: (outcome or "unfinished").lower() for name, outcome in found}


def lines_of(text: str) -> list[dict[str, Any]]:
    """Return the results among the lines that a row printed; its last line may be incomplete."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [line for line in found if isinstance(line, dict)]


def shown(line: dict[str, Any]) -> str:
    """Format a result for the terminal."""
    short = (f"{value:.4g}" if isinstance(value, float) else value for value in line.values())
    return "  " + "  ".join(f"{key} {value}" for key, value in zip(line, short, strict=True) if key != "row")


def run_tests(out: Path, end: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the outcomes of each test file."""
    for name, seconds in TESTS.items():
        reason = limited([*PYTEST, name], min(PATIENCE * seconds, end - time.monotonic()), out)
        text = out.read_text()
        found = outcomes(text)
        words = list(found.values())
        print(name, *(f"{words.count(word)} {word}" for word in sorted(set(words))), reason, flush=True)
        if reason:
            print(text[-6000:])
        yield name, {"outcomes": found, "failed": reason, "output": text[-6000:] if reason else ""}


def run_rows(asked: list[str], out: Path, end: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the results of each row."""
    from benchmarks.gpu.rows import ROWS

    for row, seconds in ROWS.items():
        name, left = row.__name__, end - time.monotonic()
        if asked and name not in asked:
            continue
        print(name, flush=True)
        found, reason, log = [], "no time left", ""
        if left > 10:
            reason = limited(["-m", "benchmarks.gpu.rows", name], min(PATIENCE * seconds, left), out)
            found, log = lines_of(out.read_text()), out.with_suffix(".log").read_text()[-4000:]
        reason = reason or ", ".join(line["failed"] for line in found if "failed" in line)
        print(*map(shown, found), *([f"  {reason}", log] if reason else []), sep="\n", flush=True)
        yield name, {"about": row.__doc__, "lines": found, "failed": reason, "log": log if reason else ""}


def main() -> None:
    """Run everything and write the results."""
    if missing := [name for name in NEEDED if not installed(name)]:
        sys.exit(
            f"make gpu: {sys.executable} lacks {', '.join(missing)}; install them, or choose one: make gpu PYTHON=..."
        )
    import torch

    from benchmarks.gpu.rows import NAMED
    from benchmarks.machine import describe, machine

    cuda, asked = torch.cuda.is_available(), sys.argv[1:]
    if not (cuda or REHEARSAL):
        sys.exit(f"make gpu: torch {torch.__version__} finds no GPU; BIOCNN_GPU_REHEARSAL=1 rehearses on the CPU")
    if unknown := [name for name in asked if name not in NAMED]:
        sys.exit(f"make gpu: no row {unknown[0]!r}; allowed: {', '.join(NAMED)}")
    card = re.sub(r"[^a-z0-9]+", "_", torch.cuda.get_device_name().lower()) if cuda else "rehearsal"
    folder = Path(os.environ.get("OUT") or ROOT / "benchmarks" / ("results" if cuda else "data"))
    folder.mkdir(parents=True, exist_ok=True)
    path, end = folder / f"gpu_{card}.json", time.monotonic() + TOTAL
    absent = [name for name in OPTIONAL if not installed(name)]
    result: dict[str, Any] = {"machine": machine(), "rehearsal": not cuda, "absent": absent, "tests": {}, "rows": {}}
    print(describe(result["machine"]), *(f"not installed: {name}" for name in absent), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        runs = {"tests": iter(()) if asked else run_tests(out, end), "rows": run_rows(asked, out, end)}
        for part, found in runs.items():
            for name, one in found:
                result[part][name] = one
                path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"results: {path}")
    failed = [name for part in runs for name, one in result[part].items() if one["failed"]]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
