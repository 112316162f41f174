"""What each step requests: memory, time and disk, from the size of the data and from how earlier attempts ended."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from biocnn.workflow.attempts import MEMORY, TIME, last_attempt


class Need(NamedTuple):
    """What a step needs for small data, and in addition for each MB of data."""

    mem_mb: int
    minutes: int
    mem_per_mb: float = 0
    minutes_per_mb: float = 0
    resumes: bool = False  # a training: it continues where a time limit stopped it
    group: bool = True  # submitted together with others that run one after the other


# Twice what was measured (benchmarks/*.tsv, data of 1 to 400 MB), plus 500 MB for Snakemake, which runs in each job.
NEEDS = {
    "simulate": Need(1500, 10, group=False),
    "genome": Need(1000, 10, 2, 0.05, group=False),
    "check": Need(1500, 10, 2, 0.05),
    "dataset": Need(1500, 10, 3, 0.05),
    "trial": Need(4000, 120, 3, resumes=True, group=False),
    "calibrate": Need(4000, 120, 3, resumes=True, group=False),
    "train": Need(4000, 240, 3, resumes=True, group=False),
    "predict": Need(2000, 10, 2, 0.1),
    "baselines": Need(1500, 15, 3, 0.2),
    "evaluate": Need(1500, 10, 4, 0.1),
    "curve": Need(1500, 10, 4, 0.1),
    "negatives": Need(2000, 15, 3, 0.1),
    "explain": Need(2000, 20, 3, 0.1),
    "features": Need(2000, 10, 2, 0.1),
    "uncertainty": Need(3000, 15, 3, 0.1),
    "apply": Need(4000, 30, 2, 0.2),
    "variants": Need(2000, 30, 2, 0.1),
    "scan": Need(4000, 240, 2, 0.2, group=False),
    "report": Need(2000, 15, 2, 0.05),
    "summary": Need(1500, 10, group=False),
}
RESUMING = {rule for rule, need in NEEDS.items() if need.resumes}
LOGS = {"trial": "calibrate"}  # rules whose logs have another name
SAVE = 60  # seconds before the time limit at which SLURM signals a step, so that a training saves its state
SHORTEST = 3  # minutes that a training needs: to start, to train for one, and to save its state in the last


class Resources:
    """Resource functions for the rules.

    Parameters
    ----------
    data_mb
        Returns the MB of data of an experiment or genome, from wildcards.
    largest
        Returns the largest memory of a node in MB, and the longest time limit in minutes; requests are capped there.
    """

    def __init__(self, data_mb: Callable[[Any], float], largest: Callable[[], tuple[int, int]]) -> None:
        self.data_mb, self.largest = data_mb, largest

    def __call__(self, rule: str) -> dict[str, Any]:
        """Return the resources of a rule, by the names that Snakemake and its executors know."""
        need = NEEDS[rule]

        def mem_mb(wildcards: Any, attempt: int) -> int:
            base = min(int(need.mem_mb + need.mem_per_mb * self.data_mb(wildcards)), self.largest()[0])
            last = last_attempt(log_of(rule, wildcards))
            if last is None or last.status == 0:
                return base
            wanted = 2 * last.mem_mb if last.cause == MEMORY else last.mem_mb
            return max(base, min(wanted, self.largest()[0]))

        def runtime(wildcards: Any, attempt: int) -> int:
            base = min(int(need.minutes + need.minutes_per_mb * self.data_mb(wildcards)), self.largest()[1])
            last = None if need.resumes else last_attempt(log_of(rule, wildcards))
            if last is None or last.status == 0 or last.cause != TIME:
                return base
            return max(base, min(2 * last.minutes, self.largest()[1]))

        def disk_mb(wildcards: Any) -> int:
            return int(1000 + 2 * self.data_mb(wildcards))

        return {
            "mem_mb": mem_mb,
            "runtime": runtime,
            "disk_mb": disk_mb,
            # Jobs of a group run in turn: it requests what its largest job needs, and the sum of their times.
            **({"in_group": 1} if need.group else {}),
            # Not in a profile: an option of the command line would replace it together with the rest.
            **({"slurm_extra": f"'--signal=TERM@{SAVE}'"} if need.resumes else {}),
        }


def take_turns(workflow: Any) -> None:
    """Let the jobs of a group run one after the other, whichever scheduler the group is submitted to."""
    submits = workflow.resource_settings.nodes is not None  # its executor is not known yet
    if submits or not workflow.is_main_process:
        workflow.register_resource("in_group", 1)


def log_of(rule: str, wildcards: Any) -> Path:
    """Return the log of a step."""
    names = dict(wildcards.items())
    folder = Path("results", *filter(None, [names.pop("experiment", None)]), "logs")
    return folder / f"{'-'.join([LOGS.get(rule, rule), *names.values()])}.log"


def size_mb(path: Path) -> float:
    """Return the size of a file, or of the files in a folder and its folders; 0 if it does not exist."""
    try:
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    except OSError:
        return 0.0
