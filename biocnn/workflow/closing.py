"""The last lines of a run: what was made and where, or what failed and how to fix it."""

import atexit
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TextIO

KILLED = re.compile(r"^.*(?:slurmstepd.*(?:memory|oom)|OUT_OF_MEMORY|exit status 137\b).*$", re.MULTILINE)
# The step and the log of a failed job, on this machine and on any; the latter is not in logs with --quiet rules.
FAILED = (
    re.compile(r"^Command '.*biocnn (\w+) .* tee (?:-i )?(\S+)' returned non-zero", re.MULTILINE),
    re.compile(r"^Error in rule (\w+):\n(?:    .*\n)*?    log: ([^,\n]+?)(?:, .*)? \(check log", re.MULTILINE),
)
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
        self.absolute = workflow.overwrite_workdir is not None
        if workflow.is_main_process:
            at_end(self._unchanged)

    def results(self) -> None:
        """End with what was made."""
        at_end(self._headlines)

    def failures(self, logs: Iterable[str]) -> None:
        """End with the causes of failures."""
        at_end(lambda: failures(logs, self.absolute), sys.stderr)

    def _headlines(self) -> str:
        return headlines(self.products(), "results/summary.tsv", "results/index.html", self.absolute)

    def _unchanged(self) -> str:
        """Return what was made earlier, if Snakemake, which calls no handler then, found nothing to do."""
        return self._headlines() if any("Nothing to be done" in _text(path) for path in self.logs() or ()) else ""


def at_end(text: Callable[[], str], stream: TextIO | None = None) -> None:
    """Print a text, unless it is empty, when this process ends."""

    def tell() -> None:
        if found := text():
            print(found, file=stream or sys.stdout)

    atexit.register(tell)


def headlines(products: dict[str, list[str]], tsv: str, page: str, absolute: bool = False) -> str:
    """Return headline metrics and what was made, for the end of a run; "" if there is no summary.

    Parameters
    ----------
    products
        Files and folders to look at, by experiment.
    tsv, page
        The summary of all experiments: a table, and a page.
    absolute
        Whether to show absolute paths, because Snakemake works in another folder than it was started in.
    """
    if not Path(tsv).exists():
        return ""
    header, *rows = (line.split("\t") for line in _text(tsv).rstrip("\n").split("\n"))
    lines = []
    experiments = groupby((dict(zip(header, row, strict=True)) for row in rows), itemgetter("experiment"))
    for name, metrics in experiments:
        if name not in products:  # from an earlier run
            continue
        first, *more = metrics
        found = [f"{row['metric']} {float(row['value']):.3f}" for row in (first, *more) if row["headline"] == "True"]
        if first["comparison"]:
            found.append(first["comparison"])
        if first["target_name"]:
            found.append(f"motif like {first['target_name']} (p = {float(first['p_value']):.0e})")
        lines += [f"{name}: {', '.join(found)}", *(f"  {_seen(path, absolute)}" for path in products[name])]
    return "\n".join(["", *lines, f"Reports: {_seen(page, absolute)}"])


def failures(logs: Iterable[str], absolute: bool = False) -> str:
    """Return why jobs failed, from Snakemake's logs: the message at the end of each job's log; "" if none failed.

    ``absolute`` as in ``headlines``.
    """
    logs = list(logs)
    texts = "\n".join(map(_text, logs))
    steps = {log: step for pattern in FAILED for step, log in pattern.findall(texts)}
    found = [_failure(step, log, absolute) for log, step in steps.items()]
    if len(found) > MOST:
        found[MOST:] = [f"... and {len(found) - MOST} more jobs failed"]
    return "\n".join(["", *found, *filter(None, [memory_advice(logs)])]) if found else memory_advice(logs)


def _failure(step: str, log: str, absolute: bool) -> str:
    """Return the last message in the log of a job, with its remedy; else the last lines."""
    lines = _text(log).rstrip().splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"biocnn \w+: ", line)]
    told = lines[starts[-1] :] if starts else [f"biocnn: {step} failed without a message", *lines[-TAIL:]]
    return "\n".join([f"{_seen(log, absolute)}:", *told])


def memory_advice(logs: Iterable[str]) -> str:
    """Return advice if a job was killed because it ran out of memory; "" if Snakemake's logs report none.

    SLURM's plugin for Snakemake reports such a job as failed, without a reason, which is in the job's own log.
    """
    texts = [_text(path) for path in logs]
    jobs = {path for text in texts for path in re.findall(r"(?:log: |, )([^,\n]*/slurm_logs/[^,\n]*?\.log)", text)}
    told = [(found[0].strip(), text) for text in [*texts, *map(_text, jobs)] if (found := KILLED.search(text))]
    if not told:
        return ""
    rules = dict.fromkeys(rule for _, text in told for rule in re.findall(r"Error in rule (\w+)", text))
    return (
        f"biocnn: a job was killed, most likely because it ran out of memory: {told[0][0]}\n"
        f"  on a cluster, request more: --set-resources {' '.join(f'{rule}:mem_mb=16000' for rule in rules)}\n"
        "  on this machine, run fewer jobs at once (--cores), or reduce memory in training (train.memory_gb)"
    )


def _seen(path: str, absolute: bool) -> str:
    return str(Path(path).resolve()) if absolute else path


def _text(path: str | Path) -> str:
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""
