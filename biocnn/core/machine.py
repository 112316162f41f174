"""The processor of this machine."""

import platform
from pathlib import Path

INTERESTING = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "neon", "sve")


def processor() -> tuple[str, list[str]]:
    """Return the name of the processor, and which of the instruction sets that change results it has."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in lines.items()}
    flags = facts.get("flags", facts.get("Features", "")).split()
    name = facts.get("model name", platform.processor() or platform.machine())
    return name, [name for name in INTERESTING if name in flags]
