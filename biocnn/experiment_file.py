"""The YAML file of an experiment, in which a mistake is named by its line."""

import re
from pathlib import Path
from typing import Any

import yaml

from biocnn.errors import InputError, nearest


class _Loader(yaml.SafeLoader):
    """YAML in which a key may stand only once, and 1e-3 is a number, as in YAML 1.2 (text in 1.1)."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None:
            raise InputError(f"line {key_node.start_mark.line + 1}: a key is no plain word", "check braces and quotes")
        if key in seen:
            raise InputError(f"line {key_node.start_mark.line + 1}: key {key!r} stands twice", "keep one of them")
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """The sections of an experiment's file.

    Raises
    ------
    InputError
        Where there is no such file, or it is no YAML with sections; names the line, or the nearest name.
    """
    if not path.is_file():
        names = [p.stem for p in path.parent.glob("*.yaml")]
        raise InputError("no such experiment", nearest(path.stem, names) if names else "check the path")
    try:
        given = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except UnicodeDecodeError as error:
        raise InputError(f"not a text file ({error.reason} at byte {error.start})", "save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = str(getattr(error, "problem", error))
        if "'\\t'" in problem:
            raise InputError(f"{line}not valid YAML: a tab", "indent with blanks alone, as YAML asks") from error
        raise InputError(f"{line}not valid YAML: {problem}", "check quotes and indents") from error
    if not isinstance(given, dict):
        raise InputError("must hold sections such as data: and model:", "see config/experiments for examples")
    return given
