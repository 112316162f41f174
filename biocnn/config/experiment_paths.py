"""The files and folders that an experiment names: found, or named with what lies nearest."""

import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from biocnn.config.registry import REGISTRY, target
from biocnn.config.schema import map_text, path_settings
from biocnn.core.errors import Collector, InputError

FOLDERS = ("data.images", "data.masks", "segment.images")  # all else that biocnn itself reads is a file
SINGLE = ("train.start_from", "segment.images", "variants.vcf", "variants.genome", "scan.genome")


def resolve_paths(settings: dict[str, Any], root: Path, collector: Collector) -> dict[str, str]:
    """Resolve every path in place; give them all by dotted key.

    Parameters
    ----------
    settings
        Those sections of an experiment that are valid.
    root
        Folder that relative paths start at, but for those under ``results/``, which the workflow makes itself.
    collector
        Gets a fault for each that does not exist.
    """
    files: dict[str, str] = {}

    def found(text: str, where: str) -> str:
        with collector:
            files[where] = str(_existing(Path(text), root, where))
        return files.get(where, text)

    def suited(text: str, where: str) -> str:
        path = Path(found(text, where))
        with collector:
            if where in FOLDERS and path.is_file():
                raise InputError(f"{where}: {path} is a file", "name the folder that it is in")
            if where not in FOLDERS and where in files and path.is_dir():
                raise InputError(f"{where}: {path} is a folder", "name a file in it")
        return str(path)

    for kind, section, where in _named(settings):
        check = suited if section["name"] in REGISTRY[kind] else found
        for key in path_settings(target(kind, section["name"])):
            section[key] = map_text(check, section[key], f"{where}.{key}")
    if "explain" in settings:
        _resolve(settings["explain"]["motifs"], "database", "explain.motifs.database", suited)
    for where in SINGLE:
        name, key = where.split(".")
        if name in settings:
            _resolve(settings[name], key, where, suited)
    return files


def _named(settings: dict[str, Any]) -> list[tuple[str, dict[str, Any], str]]:
    """Sections that name a class or a function: kind, section, dotted key."""
    single = (("data", "data"), ("models", "model"), ("losses", "loss"))
    named = [(kind, settings[key], key) for kind, key in single if settings.get(key)]
    negatives = settings.get("data", {}).get("negatives")
    named += [("negatives", negatives, "data.negatives")] if isinstance(negatives, dict) else []
    augment = settings.get("augment")
    listed = augment if isinstance(augment, list) else []
    return named + [("augment", item, f"augment.{i}") for i, item in enumerate(listed)]


def _resolve(section: dict[str, Any], key: str, where: str, found: Callable[[str, str], str]) -> None:
    section[key] = map_text(found, section[key], where)


def _existing(path: Path, root: Path, where: str) -> Path:
    """The path as a step is to read it; ``~`` is the home folder."""
    if path.parts[:1] == ("results",):
        return path
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise InputError(f"{where}: {path}: there is no such user", "write the whole path") from error
    resolved = root / path
    if not _exists(resolved):
        way = f"relative paths start at data_root ({root}); set it with --config data_root=DIR, or get the data with"
        remedy = "check the path" if path.is_absolute() else f"{way} `biocnn fetch`"
        if re.match(r"[A-Za-z]:[\\/]|[^/]*\\", str(path)):
            remedy = f"is it a path of Windows? write it with /, as this machine has it; {remedy}"
        raise InputError(f"{where}: no such file or folder: {resolved}", _nearest(resolved) + remedy)
    return resolved


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # names that no file can have: too long, or with a zero byte
        return False


def _nearest(path: Path) -> str:
    """The start of a remedy: what of the path does exist, and the name there that is most alike."""
    there = next((parent for parent in path.parents if _exists(parent)), Path("/"))
    wanted = path.relative_to(there).parts[0]
    names = [entry.name for entry in there.iterdir()] if there.is_dir() else []
    alike = get_close_matches(wanted.lower(), [name.lower() for name in names], n=1)
    if alike:
        name = next(name for name in names if name.lower() == alike[0])
        return f"did you mean {str(there / name)!r}? "
    return f"{there} has no {wanted!r}; " if there != path.parent else ""
