"""What the partitions of SLURM offer, and whether the requests of jobs fit; SLURM itself does not always report it."""

import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.workflow.attempts import printed
from biocnn.workflow.closing import refuse
from biocnn.workflow.resources import RESUMING, SHORTEST

LIMITS = ("minutes", "mem_mb", "cpus", "gpus")


class Partition(NamedTuple):
    """Nodes of the same kind in a partition.

    Parameters
    ----------
    name
        Name of the partition.
    default
        Whether it is used if none is given.
    minutes
        Its time limit.
    mem_mb, cpus, gpus
        What each node has.
    """

    name: str
    default: bool
    minutes: int
    mem_mb: int
    cpus: int
    gpus: int


class Request(NamedTuple):
    """What a job requests that runs ``steps`` of a rule, or of several, one after the other.

    ``partition`` is "" for SLURM's default.
    """

    rule: str
    partition: str
    minutes: int
    mem_mb: int
    cpus: int
    gpus: int
    steps: int = 1


@cache
def partitions() -> tuple[Partition, ...]:
    """Return the partitions that are up; none without SLURM."""
    lines = printed("sinfo", "--noheader", "--exact", "--format", "%P|%a|%l|%m|%c|%G").splitlines()
    rows = (line.split("|") for line in lines if line.count("|") == 5)
    return tuple(
        Partition(name.rstrip("*"), name.endswith("*"), _minutes(limit), _number(memory), _number(cpus), _gpus(gres))
        for name, state, limit, memory, cpus, gres in rows
        if state == "up"
    )


def largest() -> tuple[int, int]:
    """Return the largest memory of a node in MB, and the longest time limit in minutes; unlimited without SLURM."""
    found = partitions()
    unlimited = sys.maxsize
    return max((p.mem_mb for p in found), default=unlimited), max((p.minutes for p in found), default=unlimited)


def unmet(requests: Iterable[Request], offered: tuple[Partition, ...]) -> list[InputError]:
    """Return the faults of requests that no partition satisfies; such a job would wait forever or be refused.

    There is one fault for each rule and remedy, with the most that its jobs request.
    """
    requests, names = set(requests), dict.fromkeys(p.name for p in offered)
    given = sorted({name for request in requests for name in request.partition.split(",") if name})
    absent = [name for name in given if offered and name not in names]
    faults = [InputError(f"SLURM has no partition {name!r} that is up", nearest(name, names)) for name in absent]
    short = {r.rule: r.minutes for r in requests if r.rule in RESUMING and r.minutes < SHORTEST}
    for rule, minutes in sorted(short.items()):
        message = f"{rule}: runtime={minutes} is too short: the last minute is for saving the state"
        faults.append(InputError(message, f"use at least --set-resources {rule}:runtime={SHORTEST}"))
    most: dict[tuple[str, str, str], Request] = {}
    for request in requests:
        wanted = request.partition.split(",") if request.partition else [p.name for p in offered if p.default]
        named = [p for p in offered if p.name in wanted or not wanted]
        if named and not any(_fits(request, p) for p in named):
            other = next((p.name for p in offered if _fits(request, p)), "")
            key = request.rule, request.partition, other
            most[key] = Request(*key[:2], *map(max, request[2:], most.get(key, request)[2:]))
    for (_, _, other), request in sorted(most.items()):
        rule = request.rule + " in one job" * (request.steps > 1)
        where = f"partition {request.partition}" if request.partition else "SLURM's default partition"
        choose = f"choose a partition that does: --default-resources slurm_partition={other}"
        remedy = choose if other else _less(request, offered)
        faults.append(InputError(f"{rule}: {where} offers no {_words(request)}", remedy))
    return faults


def check_requests(workflow: Any) -> None:
    """Exit with status 2 if jobs of an earlier invocation go on, or one requests what no partition of SLURM offers."""
    if not (workflow.is_main_process and workflow.executor_plugin.name == "slurm"):
        return
    # With --directory, other invocations may have been started in this folder, too.
    earlier = left_over(workflow.workdir_init) if workflow.overwrite_workdir is None else []
    faults = [*earlier, *unmet(_requests(workflow), partitions())]
    if faults:
        refuse(faults, "nothing was submitted")


def left_over(folder: str) -> list[InputError]:
    """Return a fault if SLURM has jobs that a Snakemake in this folder submitted; if it was killed, they go on."""
    queue = printed("squeue", "--me", "--noheader", "--format", "%A %k %Z")
    jobs = re.findall(rf"^(\d+) rule_.* {re.escape(folder)}$", queue, re.MULTILINE)
    message = f"jobs of an earlier start in this folder are still in SLURM's queue: {', '.join(jobs)}"
    remedy = f"wait until they have ended, or run `scancel {' '.join(jobs)}`, after which trainings resume"
    return [InputError(message, remedy)] if jobs else []


def _requests(workflow: Any) -> Iterable[Request]:
    dag = workflow.dag
    jobs = [job for job in dag.needrun_jobs() if not job.is_local]
    for job in {dag.get_job_group(job) or job for job in jobs}:
        asked, steps = job.resources, list(job.jobs) if job.is_group() else [job]
        numbers = (asked.get(key) for key in ("runtime", "mem_mb", "_cores", "gpu"))
        minutes, mem_mb, cpus, gpus = (number if isinstance(number, int) else 0 for number in numbers)
        rules, partition = {step.rule.name for step in steps}, str(asked.get("slurm_partition") or "")
        yield Request(", ".join(sorted(rules)), partition, minutes, mem_mb, cpus, gpus, len(steps))


def _fits(request: Request, partition: Partition) -> bool:
    return all(getattr(request, key) <= getattr(partition, key) for key in LIMITS)


def _words(request: Request) -> str:
    gpus = _gpu_count(request.gpus)
    return f"node for {request.mem_mb} MB, {plural(request.minutes, 'minute')}, {plural(request.cpus, 'core')}{gpus}"


def _less(request: Request, offered: tuple[Partition, ...]) -> str:
    """Return what to request less, so that the partition which fewest of its limits exclude would take the job."""
    shown = "; ".join(dict.fromkeys(f"{p.name}: {describe(p)}" for p in offered))
    near = min(offered, key=lambda p: (sum(getattr(request, key) > getattr(p, key) for key in LIMITS), -p.mem_mb))
    minutes, rules = near.minutes // request.steps, request.rule.split(", ")
    if request.minutes > near.minutes and minutes < SHORTEST:
        return f"run fewer steps in one job (--groups, --group-components); partitions: {shown}"
    resources = {"mem_mb": near.mem_mb} if request.mem_mb > near.mem_mb else {}
    resources |= {"runtime": minutes} if request.minutes > near.minutes else {}
    words = [f"--config gpus={near.gpus}"] * (request.gpus > near.gpus)
    words += ["--set-resources"] * bool(resources)
    words += [f"{rule}:{key}={value}" for rule in rules for key, value in resources.items()]
    words += ["--set-threads", *(f"{rule}={near.cpus}" for rule in rules)] * (request.cpus > near.cpus)
    return f"request less: {' '.join(words)}; partitions: {shown}"


def describe(partition: Partition) -> str:
    """Return what a node of a partition offers, in words."""
    gpus = _gpu_count(partition.gpus)
    limit = "no time limit" if partition.minutes == sys.maxsize else plural(partition.minutes, "minute")
    return f"{plural(partition.cpus, 'core')}, {partition.mem_mb} MB{gpus}, {limit}"


def _gpu_count(number: int) -> str:
    return f", {number} GPU{'s' if number > 1 else ''}" if number else ""


def _minutes(limit: str) -> int:
    """Convert SLURM's days-hours:minutes:seconds to minutes."""
    if not re.fullmatch(r"(\d+-)?\d+(:\d+)*", limit):
        return sys.maxsize  # "infinite"
    days, _, clock = limit.rpartition("-")
    hours, minutes, _ = ([0, 0, 0] + [int(part) for part in clock.split(":")])[-3:]
    return 1440 * int(days or 0) + 60 * hours + minutes


def _number(text: str) -> int:
    return int(re.sub(r"\D", "", text) or 0)  # "64000+" where nodes differ


def _gpus(gres: str) -> int:
    return sum(int(number or 1) for number in re.findall(r"\bgpu(?::[^:,()]*[A-Za-z_][^:,()]*)?(?::(\d+))?", gres))
