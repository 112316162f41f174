"""The machine on which a result was measured."""

import datetime
import os
import platform
from typing import Any

import torch

import biocnn
from biocnn.core.machine import INTERESTING, processor

# Kinds of machines, whose results are kept apart, and their columns in the table.
KINDS = {"avx2": "AVX2", "avx512": "AVX-512 / AMX", "gpu": "GPU", "other": "other"}
BUSY = 0.3  # load above which timings mean little
# Variables that restrict torch and oneDNN to AVX2 on processors that have more.
AVX2_ONLY = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def load() -> float:
    """Return the mean number of processes that wanted to run in the last minute."""
    return round(os.getloadavg()[0], 2)


def kind_of(facts: dict[str, Any]) -> str:
    """Return the kind of a machine, a key of ``KINDS``."""
    if facts["device"] != "cpu":
        return "gpu"
    if "avx512f" in facts["instructions"] and not facts.get("restricted"):
        return "avx512"
    return "avx2" if "avx2" in facts["instructions"] else "other"


def restriction() -> str:
    """Return the variables that restrict this run to AVX2; "" if there are none."""
    found = {key: os.environ[key] for key in AVX2_ONLY if key in os.environ}
    wanted = " ".join(f"{key}={value}" for key, value in AVX2_ONLY.items())
    if found not in ({}, AVX2_ONLY):
        raise SystemExit(f"{found}: neither AVX2 nor all instructions of the processor: set {wanted}, or none of them")
    return wanted if found else ""


def machine() -> dict[str, Any]:
    """Return processor, cores, relevant instruction sets, load, device, versions and date."""
    name, instructions = processor()
    return {
        "processor": name,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": instructions,
        "restricted": restriction(),
        "load": load(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "biocnn": biocnn.__version__,
        "date": datetime.date.today().isoformat(),
    }


def describe(facts: dict[str, Any]) -> str:
    """Describe the machine in one line."""
    busy = f", load {facts['load']:g}" if "load" in facts else ""
    instructions = ", ".join(facts["instructions"]) or "none of " + ", ".join(INTERESTING)
    if restricted := facts.get("restricted"):
        instructions += f"; **restricted to AVX2** by {restricted}"
    return (
        f"{facts['processor']}, {facts['cores']} cores ({instructions}){busy}, device {facts['device']}; "
        f"torch {facts['torch']}, Python {facts['python']}; {facts['date']}"
    )
