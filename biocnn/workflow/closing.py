"""The last lines of a run: what was made and where, or what is wrong or failed and how to fix it."""

import atexit
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn, TextIO

from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.workflow.attempts import MEMORY, NODE, STATES, TIME, Attempt, last_attempt, state_of
from biocnn.workflow.resources import RESUMING

# The log and the step of a failed job on this machine; and Snakemake's report on one on any, except with --quiet rules.
FAILED = re.compile(r"^Command '.*attempt (\S+) \d+ \d+ .*?biocnn (\w+) .*' returned non-zero", re.MULTILINE)
REPORTED = re.compile(r"^ *Error in rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)
LOG = re.compile(r"^ +log: ([^,\n]+?)(?:, .*)? \(check log", re.MULTILINE)
MESSAGE = re.compile(r"^ +message: (?!None$)(.+)", re.MULTILINE)
JOB = re.compile(r"^ +external_jobid: (\d+)", re.MULTILINE)
MOST = 5  # failed jobs that are shown
TAIL = 5  # lines of a log without a message of biocnn


class Closing:
    """Prints the last lines of an invocation when its process ends, below those of Snakemake.

    Parameters
    ----------
    workflow
        Snakemake's workflow.
    products
        Returns files and folders to look at, by experiment.
    """

    def __init__(self, workflow: Any, products: Callable[[], dict[str, list[str]]]) -> None:
        self.products, self.logs = products, workflow.logger_manager.get_logfile
        self.started = time.time()
        self.absolute = workflow.overwrite_workdir is not None
        if workflow.is_main_process:
            at_end(self._unchanged)

    def results(self) -> None:
        """End with what was made."""
        at_end(self._headlines)

    def failures(self, logs: Iterable[str]) -> None:
        """End with the causes of failures."""
        at_end(lambda: failures(logs, self.absolute, self.started), sys.stderr)

    def _headlines(self) -> str:
        return headlines(self.products(), "results/summary.tsv", "results/index.html", self.absolute)

    def _unchanged(self) -> str:
        """Return what was made earlier, if Snakemake, which calls no handler then, found nothing to do."""
        return self._headlines() if any("Nothing to be done" in _text(path) for path in self.logs() or ()) else ""


def refuse(faults: Sequence[InputError], ending: str = "") -> NoReturn:
    """Print why nothing is run, and the remedy of successive faults once; exit with status 2, without a traceback."""
    lines = [f"{len(faults)} faults; nothing was run"] if len(faults) > 1 else []
    for remedy, alike in groupby(faults, attrgetter("remedy")):
        lines += [fault.message for fault in alike]
        lines[-1] += f"\n  {remedy}" if remedy else ""
    for line in [*lines, *filter(None, [ending])]:
        print(f"biocnn: {line}", file=sys.stderr)
    sys.exit(2)


def at_end(text: Callable[[], str], stream: TextIO | None = None) -> None:
    """Print a text, unless it is empty, when this process ends."""

    def show() -> None:
        if found := text():
            print(found, file=stream or sys.stdout)

    atexit.register(show)


def headlines(products: dict[str, list[str]], tsv: str, page: str, absolute: bool = False) -> str:
    """Return headline metrics and what was made, for the end of a run; "" if there are no reports.

    Parameters
    ----------
    products
        Files and folders to look at, by experiment; first the report.
    tsv, page
        The summary of all experiments: a table, and a page.
    absolute
        Whether to show absolute paths, because Snakemake works in another folder than the one it was started in.
    """
    metrics: dict[str, list[dict[str, str]]] = {}
    header, *rows = (line.split("\t") for line in _text(tsv).rstrip("\n").split("\n"))
    for row in rows:
        metrics.setdefault(row[header.index("experiment")], []).append(dict(zip(header, row, strict=True)))
    lines = []
    for name, paths in products.items():
        if Path(paths[0]).exists():
            # A report that was named as a target may be newer than the summary.
            known = name in metrics and os.path.getmtime(paths[0]) <= os.path.getmtime(tsv)
            found = f"{name}: {_words(metrics[name])}" if known else f"{name}:"
            lines += [found, *(f"  {_seen(path, absolute)}" for path in paths)]
    if lines and Path(page).exists():
        lines.append(f"Reports: {_seen(page, absolute)}")
    return "\n".join(["", *lines]) if lines else ""


def _words(metrics: list[dict[str, str]]) -> str:
    """Return the headline metrics of an experiment, from its rows in the summary."""
    first = metrics[0]
    found = [f"{row['metric']} {float(row['value']):.3f}" for row in metrics if row["headline"] == "True"]
    if first["comparison"]:
        found.append(first["comparison"])
    if first["target_name"]:
        found.append(f"motif like {first['target_name']} (p = {float(first['p_value']):.0e})")
    return ", ".join(found)


def failures(logs: Iterable[str], absolute: bool = False, started: float = 0.0) -> str:
    """Return why jobs failed, from Snakemake's logs: the message at the end of each job's log; "" if none failed.

    Parameters
    ----------
    logs
        Snakemake's logs.
    absolute
        As in ``headlines``.
    started
        When the invocation started, as ``time.time``; attempts that ended earlier belong to others.
    """
    text = "\n".join(map(_text, logs))
    jobs = {log: (step, "") for log, step in FAILED.findall(text)}
    for step, block in REPORTED.findall(text):
        if log := LOG.search(block):
            jobs[log[1]] = (step, block)
    found = list(filter(None, (_failure(step, log, block, absolute, started) for log, (step, block) in jobs.items())))
    if len(found) > MOST:
        found[MOST:] = [f"... and {plural(len(found) - MOST, 'more job')} failed"]
    return "\n".join(["", *found]) if found else ""


def _failure(step: str, log: str, block: str, absolute: bool, started: float) -> str:
    """Return the last message in the log of a job, with its remedy, or its last lines; then what stopped it.

    "" for a job that succeeded later, or was not reached in its group.
    """
    attempt = last_attempt(Path(log))
    if attempt and attempt.path.stat().st_mtime < started:
        attempt = None
    if attempt and attempt.status == 0:
        return ""
    text, job, refused = attempt.text if attempt else _text(log), JOB.search(block), MESSAGE.search(block)
    cause = attempt.cause if attempt else STATES.get(state_of(job[1]), "") if job else ""
    if not (attempt or text) and block.startswith(" " * 8):  # in a group
        return ""
    lines = text.rstrip().splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"biocnn \w+: ", line)]
    message = lines[starts[-1] :] if starts else [] if cause else [f"biocnn: {step} failed without a message"]
    message += [] if starts else lines[-TAIL:] if lines else [refused[1]] if refused else []
    seen = str(attempt.path) if attempt and not Path(log).exists() else log
    return "\n".join([f"{_seen(seen, absolute)}:", *message, *(_remedy(step, cause, attempt) if cause else ())])


def _remedy(step: str, cause: str, attempt: Attempt | None) -> list[str]:
    """Return what stopped a step from outside, and what to do."""
    mem_mb, minutes, node = (attempt.mem_mb, attempt.minutes, attempt.node) if attempt else (4000, 60, "a node")
    state = state_of(attempt.job) if attempt else ""
    known = f" (SLURM: {state})" if STATES.get(state) == cause else ""
    if cause == MEMORY:
        how = f"ran out of memory{known}" if known else "was killed, most likely because it ran out of memory"
        return [
            f"biocnn: {step} {how}; it had requested {mem_mb} MB",
            f"  on a cluster, request more: --set-resources {step}:mem_mb={2 * mem_mb}",
            "  on this machine, run fewer jobs at once (--cores), or reduce memory in training (train.memory_gb)",
        ]
    if cause == TIME:
        longer = f"--set-resources {step}:runtime={2 * minutes} requests more time"
        again = f"start again: it resumes; {longer}" if step in RESUMING else longer
        return [f"biocnn: {step} reached its time limit of {plural(minutes, 'minute')}{known}", f"  {again}"]
    if cause == NODE:
        return [f"biocnn: {node} failed while {step} ran{known}", "  start again; a training resumes"]
    return [f"biocnn: {step} was stopped: preempted, or cancelled{known}", "  start again; a training resumes"]


def _seen(path: str, absolute: bool) -> str:
    return str(Path(path).resolve()) if absolute else path


def _text(path: str | Path) -> str:
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""
