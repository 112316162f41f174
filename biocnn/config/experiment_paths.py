"""Files and folders that an experiment names: resolved, or reported with the nearest existing name."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from biocnn.config.schema import Chosen, map_paths
from biocnn.core.errors import Collector, InputError
from biocnn.core.files import exists

# All other paths that biocnn reads are files.
FOLDERS = (
    "data.images", "data.masks", "data.class_masks", "data.targets", "data.folder", "data.voc", "data.yolo",
    "apply.images",
)  # fmt: skip
NEW = (".npz", ".csv", ".tsv", ".txt")  # files that may replace the folder of new images: arrays, or a table


def paths_of(settings: BaseModel) -> dict[str, Path]:
    """Return all paths in settings, by dotted key."""
    found: dict[str, Path] = {}
    map_paths(lambda path, where: found.setdefault(where, path), settings)
    return found


def resolve_paths(sections: dict[str, Any], root: Path, collector: Collector) -> dict[str, Any]:
    """Return the sections with every path resolved.

    Parameters
    ----------
    sections
        Valid sections of an experiment.
    root
        Folder that relative paths start at, except for paths in ``results/``, which the workflow makes.
    collector
        Receives a fault for each path that does not exist, or is a folder where biocnn reads a file.
    """

    def resolved(path: Path, where: str) -> Path:
        with collector:
            path = _existing(path, root, where)
            if where in FOLDERS and path.is_file() and not (where == "apply.images" and path.suffix.lower() in NEW):
                raise InputError(f"{where}: {path} is a file", "name the folder that contains it")
            if where not in FOLDERS and path.is_dir() and ":" not in _name(sections, where):
                raise InputError(f"{where}: {path} is a folder", "name a file in it")
        return path

    return map_paths(resolved, sections)


def _name(sections: dict[str, Any], where: str) -> str:
    """Return the name of the class that a setting belongs to; a user's own class may expect files or folders."""
    value, name = sections, ""
    for part in where.split("."):
        value = value[int(part)] if isinstance(value, list | tuple) else dict(value)[part]
        name = value.name if isinstance(value, Chosen) else name
    return name


def _existing(path: Path, root: Path, where: str) -> Path:
    """Return the resolved path; ``~`` is the home folder."""
    if path.parts[:1] == ("results",):
        return path
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise InputError(f"{where}: {path}: there is no such user", "write the absolute path") from error
    resolved = root / path
    if not exists(resolved):
        remedy = "check the path"
        if not path.is_absolute():
            remedy = (
                f"relative paths start at data_root ({root}); set it with --config data_root=DIR (for one step: "
                "--data-root=DIR), or get the data with `biocnn fetch`"
            )
        if re.match(r"[A-Za-z]:[\\/]|[^/]*\\", str(path)):
            remedy = f"if it is a Windows path, write it with / as on this machine; {remedy}"
        raise InputError(f"{where}: no such file or folder: {resolved}", _nearest(resolved) + remedy)
    return resolved


def _nearest(path: Path) -> str:
    """Return the start of a remedy: the nearest existing name, or the part of the path that exists."""
    there = next((parent for parent in path.parents if exists(parent)), Path("/"))
    wanted = path.relative_to(there).parts[0]
    names = [entry.name for entry in there.iterdir()] if there.is_dir() else []
    alike = get_close_matches(wanted.lower(), [name.lower() for name in names], n=1)
    if alike:
        name = next(name for name in names if name.lower() == alike[0])
        return f"did you mean {str(there / name)!r}? "
    return f"{there} has no {wanted!r}; " if there != path.parent else ""
