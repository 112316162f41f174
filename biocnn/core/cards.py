"""Short descriptions of objects: one line of text, or a small table in a notebook."""

from collections.abc import Mapping
from html import escape


def line(name: str, facts: Mapping[str, str]) -> str:
    """Return one line: ``Name(first; second; ...)``."""
    return f"{name}({'; '.join(filter(None, facts.values()))})"


def card(title: str, facts: Mapping[str, str]) -> str:
    """Return an HTML table with a row for each fact, readable on a light or dark page."""
    left = 'style="text-align: left; vertical-align: top"'
    rows = "".join(f"<tr><th {left}>{escape(k)}</th><td {left}>{escape(v)}</td></tr>" for k, v in facts.items() if v)
    return f"<table><caption {left}><b>{escape(title)}</b></caption>{rows}</table>"


def some(names: list[str], most: int = 6) -> str:
    """Return the first names, and their total number if there are more."""
    return ", ".join(names[:most]) + (f", ... ({len(names)})" if len(names) > most else "")
