"""Write sections as YAML with comments."""

import json
import re
from pathlib import Path
from typing import Any

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
RESERVED = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")


def yaml_of(sections: dict[str, Any], notes: dict[str, str]) -> str:
    """Return sections as YAML, with a comment for each dotted key in ``notes`` that is there."""
    lines = []
    for name, section in sections.items():
        entries = [(key, value, notes.get(f"{name}.{key}")) for key, value in section.items()]
        head = notes.get(name)
        if not any(note for _, _, note in entries) and name != "data":
            lines += [_commented(f"{name}: {flow(section)}", head)]
        else:
            lines += [_commented(f"{name}:", head)]
            lines += [_commented(f"  {key}: {flow(value)}", note) for key, value, note in entries]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """Return a value as YAML on one line; text is quoted unless it cannot be taken for anything else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str | Path):
        text = str(value)
        plain = PLAIN.fullmatch(text) and text.lower() not in RESERVED
        return text if plain else json.dumps(text, ensure_ascii=False)
    return json.dumps(value)


def comment(text: str) -> str:
    """Return text as comment lines."""
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def _commented(line: str, note: str | None) -> str:
    return f"{line}  # {' '.join(note.split())}" if note else line
