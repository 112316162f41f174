"""How earlier attempts of a step ended: from the logs that attempt.sh keeps, and from the scheduler."""

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

MEMORY, TIME, NODE, STOPPED = "out of memory", "time limit", "node failure", "stopped"
STATES = {
    "OUT_OF_MEMORY": MEMORY,
    "TIMEOUT": TIME,
    "DEADLINE": TIME,
    "NODE_FAIL": NODE,
    "BOOT_FAIL": NODE,
    "PREEMPTED": STOPPED,
    "CANCELLED": STOPPED,
}  # SLURM's job states
HEAD = re.compile(r"\[attempt \d+: (\d+) MB, (\d+) minutes, job (\S+) on (\S+)\]")
FOOT = re.compile(r"\[exit status (\d+) after (\d+) s\]\s*$")
NO_MEMORY = re.compile(r"^biocnn \w+: not enough memory|^MemoryError|Cannot allocate memory|oom[-_ ]kill", re.MULTILINE)
RESUMABLE, TERM, KILL = 75, 128 + 15, 128 + 9  # exit statuses


@dataclass(frozen=True)
class Attempt:
    """An attempt of a step that did not succeed at first.

    Parameters
    ----------
    path
        Its log.
    mem_mb, minutes
        Requested memory and time.
    job, node
        Number of the job in the scheduler, or "none"; name of the host.
    status, seconds
        Exit status, and how long it took; None if it was killed together with its shell, or still runs.
    text
        What the step printed.
    """

    path: Path
    mem_mb: int
    minutes: int
    job: str
    node: str
    status: int | None
    seconds: int | None
    text: str

    @cached_property
    def cause(self) -> str:
        """One of the causes above; "" for an error of the step itself, or success."""
        if NO_MEMORY.search(self.text):
            return MEMORY
        if self.status not in (None, RESUMABLE, TERM, KILL):
            return ""
        if found := STATES.get(state_of(self.job)):
            return found
        if self.status in (RESUMABLE, TERM):
            # A step signalled before its limit exits by itself: the scheduler only sees a failure.
            near = self.seconds is not None and self.seconds > 60 * self.minutes - 180
            return TIME if near and self.job != "none" else STOPPED
        return MEMORY  # nothing else kills a step without a message


def last_attempt(log: Path) -> Attempt | None:
    """Return the last attempt whose log was kept, of the step with this log; None if there was none."""
    kept = {int(path.stem.rpartition("attempt")[2]): path for path in log.parent.glob(f"{log.stem}.attempt*.log")}
    if not kept:
        return None
    path = kept[max(kept)]
    text = path.read_text(encoding="utf-8", errors="replace")
    if not (head := HEAD.match(text)):
        return None
    foot = FOOT.search(text)
    status, seconds = (int(foot[1]), int(foot[2])) if foot else (None, None)
    body = text[head.end() : foot.start() if foot else None].strip("\n")
    return Attempt(path, int(head[1]), int(head[2]), head[3], head[4], status, seconds, body)


def printed(*command: str) -> str:
    """Return what a command prints; "" if it fails, takes too long or is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def state_of(job: str) -> str:
    """Return the state of a job of SLURM, for example OUT_OF_MEMORY; "" if it is unknown."""
    if not job.isdigit():
        return ""
    asked = printed("sacct", "--jobs", job, "--noheader", "--allocations", "--parsable2", "--format", "State")
    found = re.match(r"(\w+)", asked) or re.search(r"\bJobState=(\w+)", printed("scontrol", "show", "job", job))
    return found[1] if found else ""
