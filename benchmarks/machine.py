"""The machine on which a result was measured."""

import datetime
import os
import platform
from importlib.metadata import version
from typing import Any

import torch

from biocnn.core.machine import INTERESTING, processor


def machine() -> dict[str, Any]:
    """Return processor, cores, relevant instruction sets, device, versions and date."""
    name, instructions = processor()
    return {
        "processor": name,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": instructions,
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
