"""Digests of the code that each step of the workflow runs: they change exactly when that code does."""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from biocnn.config.registry import REGISTRY, target
from biocnn.config.schema import Chosen
from biocnn.config.search_space import network_names
from biocnn.config.signatures import source_of

if TYPE_CHECKING:
    from biocnn.config.settings import Settings

PACKAGE = Path(__file__).parents[1]
STEPS = PACKAGE / "workflow" / "steps.py"
# Sections of an experiment that name a class or functions, by their kind in the registry.
KINDS = {"data": "data", "model": "models", "loss": "losses", "augment": "augment"}
# Files that do not affect what a step writes: public names, and the parser of the command line.
ELSEWHERE = ("__init__.py", "workflow/cli.py")
NAMED = re.compile(r"biocnn(\.\w+)+:\w+")


def code_of_step(step: str, settings: "Settings | None", sections: Iterable[str]) -> str:
    """Return twelve hexadecimal digits that identify the code of a step.

    Parameters
    ----------
    step
        Name of a function in ``biocnn/workflow/steps.py``, or imported there; other functions of its file count only if
        it calls them.
    settings
        Resolved settings of an experiment; None for no sections.
    sections
        Sections whose classes and functions the step calls.
    """
    return _code_of_step(step, frozenset(_names(settings, sections)) if settings else frozenset())


@cache
def _code_of_step(step: str, names: frozenset[tuple[str, str]]) -> str:
    texts, modules = _function(STEPS, step)
    found = {hashlib.sha256(text).digest() for text in texts} | code({*modules, *_sources(names)})
    return hashlib.sha256(b"".join(sorted(found))).hexdigest()[:12]


def code(paths: Iterable[Path]) -> set[bytes]:
    """Return digests of files, of all files in their package that they import, directly or not, and of templates.

    A file that a string names as ``package.module:Name`` counts if another file of its package counts. A task, for
    example, names its chapter of the report, which does not belong to training. Digests are of the content alone,
    because the code may be installed elsewhere on another machine.
    """
    return _code(frozenset(paths))


@cache
def _code(paths: frozenset[Path]) -> set[bytes]:
    seen: set[Path] = set()
    waiting = set(paths)
    while waiting:
        seen |= waiting
        found = {file for path in waiting for file in _imports(path)}
        packages = {_package(path) for path in seen | found} - {""}
        found |= {file for path in seen for file in _named(path) if _package(file) in packages}
        waiting = found - seen - _left_out()
    templates = {file for path in seen if path.parent != PACKAGE for file in _templates(path.parent)}
    return {_digest(path) for path in seen | templates}


def chosen(settings: "Settings", sections: Iterable[str]) -> set[Path]:
    """Return the files of classes and functions that sections name, including candidates; all if the data decide."""
    return _sources(_names(settings, sections))


def _sources(names: Iterable[tuple[str, str]]) -> set[Path]:
    return {source for kind, name in names if (source := source_of(target(kind, name).partition(":")[0]))}


def _names(settings: "Settings", sections: Iterable[str]) -> set[tuple[str, str]]:
    """Return the kinds and names of these classes and functions."""
    names: set[tuple[str, str]] = set()
    for section in sections:
        kind, value = KINDS[section], getattr(settings, section)
        given = [value] if isinstance(value, Chosen) else value
        names |= {(kind, one.name) for one in given} if isinstance(given, list) else {(kind, n) for n in REGISTRY[kind]}
        names |= {(kind, name) for name in network_names(settings)} if section == "model" else set()
        if negatives := getattr(value, "negatives", None):
            names.add(("negatives", negatives.name))
    return names


@cache
def _left_out() -> set[Path]:
    return {PACKAGE / name for name in ELSEWHERE}


@cache
def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@cache
def _templates(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in (".j2", ".css", ".js", ".yaml", ".json", ".tsv")]


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _tree(path: Path) -> ast.Module:
    """Parse a file; trees are not kept, because every garbage collection would go through all of them."""
    return ast.parse(_text(path))


@cache
def _imports(path: Path) -> set[Path]:
    """Return the files of the same package that a file imports, also within functions, but not under TYPE_CHECKING."""
    return {found for node in _statements(_tree(path)) for found in _imported(node, path)}


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements of a file, a function or a branch; expressions contain none."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, field, ()):
            test = inner.test if isinstance(inner, ast.If) else None
            if not (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"):
                yield inner
                yield from _statements(inner)


@cache
def _named(path: Path) -> set[Path]:
    """Return the files that strings in a file name; for the registry, those that no section of an experiment names."""
    if path == PACKAGE / "config" / "registry.py":
        texts = {entry.path for kind in ("tasks", "inputs") for entry in REGISTRY[kind].values()}
    elif NAMED.search(_text(path)):
        constants = (node.value for node in ast.walk(_tree(path)) if isinstance(node, ast.Constant))
        texts = {text for text in constants if isinstance(text, str) and NAMED.fullmatch(text)}
    else:
        texts = set()
    return {file for text in texts if (file := source_of(text.partition(":")[0]))}


@cache
def _package(path: Path) -> str:
    """Return the package of biocnn that contains a file; "" for a file outside biocnn."""
    return path.relative_to(PACKAGE).parts[0] if path.is_relative_to(PACKAGE) else ""


def _imported(node: ast.AST, path: Path) -> Iterator[Path]:
    """Yield the files that an import loads, including ``__init__.py`` of the parent packages."""
    if isinstance(node, ast.Import):
        names, base = [alias.name.split(".") for alias in node.names], None
    elif isinstance(node, ast.ImportFrom):
        names = [[*(node.module or "").split("."), alias.name] for alias in node.names]
        base = path.parents[node.level - 1] if node.level else None
    else:
        return
    for parts in names:
        if start := base or _base(parts[0], path):
            yield from _files(start, *parts)


@cache
def _files(start: Path, *parts: str) -> list[Path]:
    stems = [start.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    files = (file for stem in stems for file in (stem / "__init__.py", stem.with_suffix(".py")))
    return [file for file in files if file.is_file()]


def _base(first: str, path: Path) -> Path | None:
    """Return the folder to import a package from: that of biocnn, the root of the file, or the working folder."""
    if first == PACKAGE.name:
        return PACKAGE.parent
    root = _root(path.parent)
    own = path.relative_to(root).parts[0]
    return root if first == own or root.samefile(".") else None


@cache
def _root(folder: Path) -> Path:
    return _root(folder.parent) if (folder / "__init__.py").is_file() else folder


@cache
def _function(path: Path, name: str) -> tuple[set[bytes], set[Path]]:
    """Return the source of a function and of the functions of its file that it calls, and the files they import."""
    tree, lines = _tree(path), _text(path).split("\n")
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.asname or alias.name: (node, path)
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    if name not in functions:  # a step that another module defines
        *_packages, module = _imported(imported[name][0], path)
        return _function(module, name)
    texts, modules, waiting, seen = set(), set(), {name}, set()
    while waiting:
        one = waiting.pop()
        seen.add(one)
        node = functions[one]
        texts.add("\n".join(lines[node.lineno - 1 : node.end_lineno]).encode())
        used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        modules |= {file for inner in ast.walk(node) for file in _imported(inner, path)}
        modules |= {file for word in used & imported.keys() for file in _imported(*imported[word])}
        waiting |= (used & functions.keys()) - seen
    return texts, modules - _left_out()
