"""The machine on which a result was measured."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

INTERESTING = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "neon", "sve")


def machine() -> dict[str, Any]:
    """Return processor, cores, relevant instruction sets, device, versions and date."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in lines.items()}
    flags = facts.get("flags", facts.get("Features", "")).split()
    return {
        "processor": facts.get("model name", platform.processor() or platform.machine()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [name for name in INTERESTING if name in flags],
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "biocnn": version("biocnn"),
        "date": datetime.date.today().isoformat(),
    }


def describe(facts: dict[str, Any]) -> str:
    """Describe the machine in one line."""
    instructions = ", ".join(facts["instructions"]) or "none of " + ", ".join(INTERESTING)
    return (
        f"{facts['processor']}, {facts['cores']} cores ({instructions}), device {facts['device']}; "
        f"torch {facts['torch']}, Python {facts['python']}; {facts['date']}"
    )
