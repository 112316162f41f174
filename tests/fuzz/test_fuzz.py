"""Damaged files of every format are read or refused with a reason: never a traceback, a hang, or a full memory.

To see one case again: ``echo "17 bed" | python -m tests.fuzz.worker FOLDER``; the file is then in FOLDER/case.
"""

import json
import selectors
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
SECONDS = 10.0  # for one file
INPUTS, QUICK = 5000, 3


class Worker:
    """A process that reads damaged files, restarted if it died or had to be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.process: subprocess.Popen[str] | None = None
        self.ready: set[str] = set()

    def ask(self, name: str, number: int) -> tuple[str, str]:
        """Return the outcome for one file, and a few words."""
        if name not in self.ready:
            outcome = self._answer(name, -1, 120)  # it imports and makes the valid file
            assert outcome[0] == "read", f"{name}: the valid file is not read: {outcome[1]}"
            self.ready.add(name)
        return self._answer(name, number, SECONDS)

    def _start(self) -> subprocess.Popen[str]:
        self.number, self.ready = self.number + 1, set()
        folder = self.folder / f"worker{self.number}"
        folder.mkdir()
        command = [sys.executable, "-m", "tests.fuzz.worker", str(folder)]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def _answer(self, name: str, number: int, seconds: float) -> tuple[str, str]:
        self.process = self.process or self._start()
        self.process.stdin.write(f"{number} {name}\n")
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            late = not selector.select(seconds)
        line = "" if late else self.process.stdout.readline()
        if line:
            return tuple(json.loads(line))
        self.close()
        return "fault", f"no answer in {seconds:g} s" if late else "the process died"

    def close(self) -> None:
        """End the process."""
        if self.process:
            self.process.kill()
            self.process.communicate()
        self.process, self.ready = None, set()


def faults(folder: Path, cases: list[tuple[str, int]]) -> list[str]:
    """Return faults by kind; damage is useless if nothing was refused or nothing read."""
    worker, found, counts = Worker(folder), [], Counter()
    try:
        for name, number in cases:
            outcome, words = worker.ask(name, number)
            counts[name, outcome] += 1
            if outcome == "fault":
                found.append(f"--- {number} {name}\n{words}")
    finally:
        worker.close()
    total = sum(counts.values())
    assert sum(n for (_, outcome), n in counts.items() if outcome == "refused") > total / 4
    assert sum(n for (_, outcome), n in counts.items() if outcome == "read") > total / 10
    return found


def test_some_damaged_files_of_every_format(tmp_path: Path) -> None:
    found = faults(tmp_path, [(name, number) for name in TARGETS for number in range(QUICK)])
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_many_damaged_files(tmp_path: Path) -> None:
    whole = sum(target.weight for target in TARGETS.values())
    cases = [
        (name, number)
        for name, target in TARGETS.items()
        for number in range(QUICK, QUICK + -(-INPUTS * target.weight // whole))
    ]
    found = faults(tmp_path, cases)
    assert not found, f"{len(found)} of {len(cases)}\n" + "\n".join(found)
