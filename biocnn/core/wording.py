"""Describe allowed settings as they are written in YAML."""

from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

PLAIN = {
    int: ("a whole number", 1),
    float: ("a number", 0.5),
    bool: ("true or false", True),
    str: ("text", "name"),
    Path: ("the path of a file or folder", "file"),
    Any: ("anything", 1),
    NoneType: ("null", None),
}
SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def shown(value: Any) -> str:
    """Return a value as written in YAML, on one line, shortened if long."""
    try:
        text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    except (yaml.YAMLError, RecursionError, ValueError):
        text = repr(value)
    text = text.removesuffix("\n").removesuffix("\n...")
    return text if len(text) <= 60 else f"{text[:57]}..."


def given(value: Any) -> str:
    """Return a value given by a user as written in YAML, with text in quotes: 'yes' is not yes."""
    return repr(value) if isinstance(value, str) and len(value) <= 60 else shown(value)


def describe(annotation: Any, bounds: tuple[Any, ...] = ()) -> tuple[str, Any]:
    """Describe the values of a type, and give an example.

    Parameters
    ----------
    annotation
        Type as in a signature or a schema.
    bounds
        Limits of the values as stored by pydantic: objects with ge, gt, le or lt.
    """
    origin, entries = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe(entries[0], tuple(bound for mark in entries[1:] for bound in getattr(mark, "metadata", [mark])))
    if origin in (Union, UnionType):
        parts = [describe(entry, bounds) for entry in sorted(entries, key=_rank)]
        return " or ".join(dict.fromkeys(words for words, _ in parts)), parts[0][1]
    if origin is Literal:
        return ("one of " if len(entries) > 1 else "") + ", ".join(map(shown, entries)), entries[0]
    if annotation in (list, tuple) or origin in (list, tuple):
        inner = [describe(entry) for entry in entries if entry is not ...] or [("anything", 1)]
        values = [value for _, value in inner]
        if origin is tuple and ... not in entries:
            kinds = [words for words, _ in inner]
            each = f" (each: {kinds[0]})" if len({*kinds}) == 1 else f": {', '.join(kinds)}"
            return f"a list of {len(values)}{each}", values
        first = values[0]
        return f"a list (each: {inner[0][0]})", [first + i for i in range(3)] if type(first) is int else values
    if annotation is dict or origin is dict:
        words, value = describe(entries[1]) if entries else ("anything", 1)
        return f"entries by name (each: {words})", {"name": value}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a section with " + ", ".join(annotation.model_fields), {}
    words, value = PLAIN.get(annotation, ("a value of another type", None))
    bounds = bounds if annotation in (int, float) else ()
    limits = {
        sign: getattr(bound, sign) for bound in bounds for sign in SIGNS if getattr(bound, sign, None) is not None
    }
    limited = " and ".join(f"{SIGNS[sign]} {limit:,.12g}" for sign, limit in limits.items())
    if limits:
        value = _within(annotation, limits)
    return f"{words} {limited}".strip(), value


def _rank(annotation: Any) -> int:
    """Sort plain values first, then lists, null last."""
    return 2 if annotation is NoneType else get_origin(annotation) in (list, tuple, dict)


def _within(kind: type, limits: dict[str, float]) -> float:
    """Return a number within limits."""
    low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
    if low is None:
        assert high is not None
        return int(high) - ("lt" in limits) if kind is int else high / 2
    if kind is int:
        return low + ("gt" in limits)
    return low + 0.5 if high is None else (low + high) / 2
