"""Write sections as YAML with comments."""

import json
import re
from typing import Any

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
RESERVED = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")


def yaml_of(sections: dict[str, Any], notes: dict[str, str]) -> str:
    """Return sections as YAML, with a comment for each dotted key in ``notes`` that is there."""
    lines = []
    for name, section in sections.items():
        inner = {f"{name}.{key}": f"  {key}: {flow(value)}" for key, value in section.items()}
        if name == "data" or inner.keys() & notes.keys():
            entries = {name: f"{name}:"} | inner
        else:
            entries = {name: f"{name}: {flow(section)}"}
        lines += [
            f"{line}  # {' '.join(notes[key].split())}" if notes.get(key) else line for key, line in entries.items()
        ]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """Return a value as YAML on one line; text is quoted unless it cannot be taken for anything else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    plain = isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in RESERVED
    return value if plain else json.dumps(value, ensure_ascii=False)


def comment(text: str) -> str:
    """Return text as comment lines."""
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
