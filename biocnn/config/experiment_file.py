"""Reads the YAML file of an experiment; errors give the line."""

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from biocnn.core.errors import InputError, nearest

LARGEST, MOST = 1_000_000, 100_000  # bytes of a file; values in it, where aliases count in full each time

_INT, _FLOAT, _DATE = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp"))


class _Loader(yaml.SafeLoader):
    """YAML without duplicate keys and with the numbers of YAML 1.2.

    Thus 1e-3 is a number; 1_2, 1:30, 007 and 2020-01-31, which occur as names of groups, are text.
    """

    yaml_implicit_resolvers: ClassVar = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in pairs if tag not in (_INT, _FLOAT, _DATE)]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value as the parent class does; an error gives the line."""
        try:
            found = super().construct_object(node, deep)
            if isinstance(found, str):
                found.encode()  # \ud800 is not a character
        except (ValueError, LookupError, AttributeError) as error:
            shown = node.value if len(str(node.value)) < 40 else f"{str(node.value)[:40]}..."
            raise InputError(
                f"line {node.start_mark.line + 1}: {shown!r} cannot be read ({error})", "check its quotes and its tag"
            ) from error
        return found


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None:
            raise InputError(f"line {key_node.start_mark.line + 1}: a key is not plain text", "check braces and quotes")
        if key in seen:
            raise InputError(f"line {key_node.start_mark.line + 1}: duplicate key {key!r}", "keep one of them")
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(_INT, re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"),
    list("-+0123456789."),
)


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values of a node with all its aliases expanded; more than allowed if an alias contains itself."""
    if id(node) not in known:
        known[id(node)] = MOST
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = (one for part in parts for one in (part if isinstance(part, tuple) else (part,)))
        known[id(node)] = 1 + sum(_values(one, known) for one in flat)
    return known[id(node)]


def _read(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None and _values(node, {}) > MOST:
            raise InputError(f"more than {MOST:,} values, with aliases (*name) expanded", "write a shorter file")
        return None if node is None else loader.construct_document(node)
    except RecursionError as error:
        raise InputError("lists or sections are nested hundreds of levels deep", "write a flatter file") from error
    finally:
        loader.dispose()


def read_value(text: str) -> Any:
    """Read one value, such as a cell of a sheet.

    Raises
    ------
    InputError
        If the text is not YAML, or only a comment.
    """
    try:
        value = _read(text)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", error)
        raise InputError(f"{text!r} is not valid YAML: {problem}", "write text in single quotes") from error
    if value is None and text.lower() not in ("null", "~"):
        raise InputError(f"{text!r} is a comment in YAML", "write text in single quotes, and no value as null")
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the sections of an experiment's file.

    Raises
    ------
    InputError
        If there is no such file, or it is not YAML with sections; names the line, or the nearest name.
    """
    if not path.is_file():
        names = [p.stem for p in path.parent.glob("*.yaml")]
        raise InputError("no such experiment", nearest(path.stem, names) if names else "check the path")
    if path.stat().st_size > LARGEST:
        raise InputError(f"larger than {LARGEST:,} bytes", "is it the right file? an experiment has a few dozen lines")
    try:
        given = _read(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"not a text file ({error.reason} at byte {error.start})", "save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = str(getattr(error, "problem", error))
        if "'\\t'" in problem:
            raise InputError(f"{line}not valid YAML: a tab", "indent with spaces only, as YAML requires") from error
        remedy = "check quotes and indentation, and the space after each colon, also in the line before"
        if "escape" in problem:
            remedy = "in double quotes \\ starts an escape sequence: write paths with / or in single quotes"
        raise InputError(f"{line}not valid YAML: {problem}", remedy) from error
    if not isinstance(given, dict):
        raise InputError("must contain sections such as data: and model:", "see config/experiments for examples")
    return given
