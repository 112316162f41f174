"""``biocnn machine``: what this machine or cluster offers, and what will be slow or never start on it."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from biocnn.core.errors import Faults, InputError
from biocnn.workflow.attempts import printed
from biocnn.workflow.cluster import Request, describe, largest, partitions, unmet
from biocnn.workflow.launch import snakefile
from biocnn.workflow.resources import NEEDS

LITTLE_DISK, LITTLE_MEMORY = 5.0, 4.0  # GB


def machine(*, gpus: int = 0, partition: str = "") -> None:
    """Show what this machine offers, or with SLURM its partitions, and what will be slow or never start.

    On a cluster it describes the node where it runs; for another, start it in a job there.
    """
    slow: list[str] = []
    faults: list[InputError] = []
    for name, text in (*_hardware(slow), *_gpu(gpus, slow, faults), *_software(faults)):
        print(f"{name:<14}{text}")
    offered = partitions()
    for each in offered:
        print(f"{'partition':<14}{each.name}{' (default)' if each.default else ''}: {describe(each)}")
    if offered:
        faults += unmet((_small(rule, partition, gpus) for rule in NEEDS), offered)
    elif partition:
        faults.append(InputError(f"--partition {partition}: sinfo reports no partitions", "run it where SLURM runs"))
    if slow:
        print("\n".join(["slow:", *(f"  {text}" for text in slow)]))
    if faults:
        raise faults[0] if len(faults) == 1 else Faults(faults)


def _small(rule: str, partition: str, gpus: int) -> Request:
    """Return the request of a rule for small data, which is capped as in the workflow."""
    need, (mem_mb, minutes) = NEEDS[rule], largest()
    wanted = min(need.minutes, minutes), min(need.mem_mb, mem_mb)
    return Request(rule, partition, *wanted, cpus=2, gpus=gpus if rule == "train" else 0)


def _hardware(slow: list[str]) -> Iterator[tuple[str, str]]:
    import torch

    from biocnn.nn.precision import fast_bfloat16

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield "cores", f"{usable} of {os.cpu_count()}"
    if usable < 2:
        slow.append("one core, but trainings use two threads: set train.threads: 1")
    total, free = _memory_gb()
    if total:
        yield "memory", f"{total:.0f} GB, {free:.0f} GB of it free"
        if free < LITTLE_MEMORY:
            slow.append(f"only {free:.1f} GB of memory are free: run one job at a time (--cores 2)")
    bfloat16 = fast_bfloat16(torch.device("cpu"))
    capability = torch.backends.cpu.get_cpu_capability()
    yield "instructions", f"{capability}; {'bfloat16 in hardware' if bfloat16 else 'no bfloat16: float32 is used'}"
    if capability in ("DEFAULT", "NO AVX"):
        slow.append("the processor has no AVX2, for which torch is optimised")
    for name, folder in (("disk here", "."), ("temporary", tempfile.gettempdir())):
        gb = shutil.disk_usage(folder).free / 1e9
        yield name, f"{gb:.0f} GB free{'' if folder == '.' else f' in {folder}'}"
        if gb < LITTLE_DISK:
            slow.append(f"only {gb:.1f} GB are free in {Path(folder).resolve()}: steps stop if it is full")


def _memory_gb() -> tuple[float, float]:
    """Return the total and the free memory, within the limit of a container or job; 0 if unknown."""
    try:
        lines = dict(re.findall(r"^(\w+): +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE))
        total, free = int(lines["MemTotal"]) / 1e6, int(lines["MemAvailable"]) / 1e6
    except (OSError, KeyError):
        return 0.0, 0.0
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    within = float("inf") if text == "max" else int(text) / 1e9
    return min(total, within), min(free, within)


def _gpu(gpus: int, slow: list[str], faults: list[InputError]) -> Iterator[tuple[str, str]]:
    import torch

    cards = printed("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader").splitlines()
    usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs only"
    yield "GPUs", f"{'; '.join(cards) or 'none'}; torch {torch.__version__}, built for {built}"
    if cards and not torch.version.cuda:
        slow.append("there is a GPU, but torch is built for CPUs only: install torch with CUDA (pytorch.org)")
    elif cards and not usable:
        slow.append(f"there is a GPU, but torch cannot use it: the driver may be too old for {built}")
    if gpus < 0:
        faults.append(InputError(f"--gpus {gpus}: must be a whole number >= 0", "for example --gpus 1"))
    elif gpus > usable and not partitions():
        faults.append(InputError(f"--gpus {gpus}: torch can use only {usable} here", f"--gpus {usable}"))


def _software(faults: list[InputError]) -> Iterator[tuple[str, str]]:
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in requires("biocnn") or () if "extra ==" not in text]
    workflow = [Requirement(name) for name in ("snakemake>=9.0", "snakemake-executor-plugin-slurm>=1.0")]
    found = {need.name: _version(need.name) for need in (*wanted, *workflow)}
    for need in wanted:
        if not found[need.name] or not need.specifier.contains(found[need.name], prereleases=True):
            have = found[need.name] or "not installed"
            faults.append(InputError(f"{need.name} is {have}, but biocnn needs {need}", f"pip install '{need}'"))
    snakemake, plugin = (found[need.name] or "not installed" for need in workflow)
    yield "Snakemake", f"{snakemake}; plugin for SLURM: {plugin}"
    if partitions() and not found["snakemake-executor-plugin-slurm"]:
        faults.append(InputError("Snakemake's plugin for SLURM is not installed", "pip install 'biocnn[workflow]'"))
    try:
        pinned = (snakefile().parent / "constraints.txt").read_text()
    except (OSError, InputError):
        return
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", pinned, re.MULTILINE))
    other = {name: have for name, pin in pins.items() if (have := _version(name)) and have.partition("+")[0] != pin}
    shown = ", ".join(f"{name} {have} (not {pins[name]})" for name, have in list(other.items())[:5])
    more = f" and {len(other) - 5} more" if len(other) > 5 else ""
    yield "versions", f"{shown}{more}: results may differ in the last digits" if other else "as in constraints.txt"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
