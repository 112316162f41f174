"""Settings of functions and classes, read from their source, because importing it is slow and would run it."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import Field

from biocnn.config.registry import add_cwd_to_path, own_module
from biocnn.core import ranges
from biocnn.core.errors import InputError, nearest


class Choice:
    """Annotation ``Choice["negatives"]``: a section ``{name: ..., **settings}`` or a name of that kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __class_getitem__(cls, kind: str) -> Any:
        return Annotated[Any, cls(kind)]


# Types that annotations may use; sequences and mappings are lists and dicts, as in a YAML file.
PLAIN = {kind.__name__: kind for kind in (int, float, bool, str, list, tuple, dict, Path)} | {"Any": Any, "None": None}
GENERIC: dict[str, Any] = {"list": list, "tuple": tuple, "dict": dict, "Sequence": list, "Mapping": dict}
RANGES = {name: kind for name, kind in vars(ranges).items() if get_origin(kind) is Annotated}
LIMITS = ("ge", "gt", "le", "lt")


def positional(path: str) -> list[str]:
    """Return the positional parameters of ``module:name``, without importing the module."""
    found = arguments(path)
    return [argument.arg for argument in found.posonlyargs + found.args]


@cache
def arguments(path: str) -> ast.arguments:
    """Return the parameters of a function, or of a class's own ``__init__``."""
    module, _, name = path.partition(":")
    constructor = _constructor(_definition(module, name)[1])
    return constructor.args if constructor else ast.arguments([], [], None, [], [], None, [])


class Setting(NamedTuple):
    """A setting as declared in the source."""

    annotation: ast.expr | None
    default: ast.expr | None
    description: str | None = None


class Declared(NamedTuple):
    """Summary of a class or function, its settings by name, and whether all of them were found."""

    summary: str
    settings: dict[str, Setting]
    complete: bool


def declared(path: str) -> Declared:
    """Read the settings of ``module:name`` in its source.

    The settings of a function are its keyword-only parameters; those of a class are the keyword-only parameters of its
    ``__init__``, or the fields of a dataclass. Dataclasses, classes without an ``__init__``, and those whose
    ``__init__`` passes on ``**``, inherit settings of their base classes. Descriptions are entries of docstrings.
    """
    module, _, name = path.partition(":")
    tree, definition = _definition(module, name)
    bases = definition.bases if isinstance(definition, ast.ClassDef) else []
    if constructor := _constructor(definition):
        given = constructor.args
        parameters = zip(given.kwonlyargs, given.kw_defaults, strict=True)
        found = {parameter.arg: Setting(parameter.annotation, default) for parameter, default in parameters}
        inherits = given.kwarg is not None
        complete = bool(bases) or not inherits
    else:
        decorators = {_last_name(node) for node in definition.decorator_list}
        fields = [node for node in definition.body if isinstance(node, ast.AnnAssign) and "dataclass" in decorators]
        found = {ast.unparse(node.target): Setting(node.annotation, node.value) for node in fields}
        inherits, complete = True, decorators <= {"dataclass"}
    for base in bases if inherits else ():
        base_class = _base(ast.unparse(base), tree.body[: tree.body.index(definition)], module)
        complete = complete and base_class is not None and base_class.complete
        found |= (base_class.settings if base_class else {}) | found
    summary, entries = _described(definition)
    for key in entries.keys() & found.keys():
        found[key] = found[key]._replace(description=entries[key])
    required_first = sorted(found, key=lambda key: found[key].default is not None)
    return Declared(summary, {key: found[key] for key in required_first}, complete)


def _last_name(node: ast.expr) -> str:
    """Return the last part of a name, also if it is called: dataclass of ``dataclasses.dataclass(kw_only=True)``."""
    return ast.unparse(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def _constructor(definition: ast.FunctionDef | ast.ClassDef) -> ast.FunctionDef | None:
    """Return a function itself, or the ``__init__`` of a class; None if it has none of its own."""
    if isinstance(definition, ast.FunctionDef):
        return definition
    methods = (item for item in definition.body if isinstance(item, ast.FunctionDef))
    return next((item for item in methods if item.name == "__init__"), None)


def _base(name: str, before: list[ast.stmt], module: str) -> Declared | None:
    """Return a base class that statements before define or import; None if its source is not found."""
    for node in reversed(before):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return declared(f"{module}:{name}")
        if isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            source = ".".join([*package, *filter(None, [node.module])])
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    try:
                        return declared(f"{source}:{alias.name}")
                    except (InputError, RecursionError):
                        return None
    return None


def _described(definition: ast.FunctionDef | ast.ClassDef) -> tuple[str, dict[str, str]]:
    """Return the first paragraph of a docstring, and its entries about parameters, by their names."""
    text = (ast.get_docstring(definition) or "").replace("``", "`")
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n---|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^(\w[\w, ]*)\n((?:[ ]+.*\n?|\n)+)", section[1] if section else "", re.MULTILINE)
    about = {name: " ".join(words.split()) for names, words in entries for name in names.split(", ")}
    return " ".join(text.partition("\n\n")[0].split()), about


def evaluated(key: str, setting: Setting, where: str) -> tuple[Any, Any]:
    """Read the annotation and default of a setting without running code; ``...`` means no default."""
    try:
        if key.startswith("_") or key == "name":
            raise ValueError("a setting cannot have this name")
        annotation = _annotation(setting.annotation) if setting.annotation else Any
        default = ... if setting.default is None else ast.literal_eval(setting.default)
        return annotation, Field(default, description=setting.description)
    except (ValueError, TypeError, SyntaxError, RecursionError) as error:
        raise InputError(
            f"setting {key!r} of {where} cannot be read: {error}",
            "annotate it with int, float, bool, str, list, tuple, dict, Literal, Path, Any or None, combined by | and "
            "with types of entries in [] if wanted; its default must be a literal",
        ) from error


def _annotation(node: ast.expr) -> Any:
    """Return the type of an annotation without evaluating it, because the module may be anybody's.

    Raises
    ------
    ValueError
        For any form that settings of a YAML file cannot have.
    """
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):  # a quoted annotation
            return _annotation(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="typing" | "pathlib"), attr=name) if name in PLAIN:
            return PLAIN[name]
        case ast.Name(id=name) if name in RANGES:
            return RANGES[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either(_annotation(left), _annotation(right))
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            entries = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            match name:
                case "Literal":
                    return Literal[tuple(map(ast.literal_eval, entries))]
                case "Choice":
                    return Choice[ast.literal_eval(inner)]  # type: ignore[misc]
                case "Annotated":
                    return _annotated(*entries)
                case "Optional":
                    return _either(_annotation(inner), None)
                case "Union":
                    return _either(*map(_annotation, entries))
                case _ if name in GENERIC:
                    kinds = tuple(... if ast.unparse(entry) == "..." else _annotation(entry) for entry in entries)
                    return GENERIC[name][kinds]
    raise ValueError(f"{ast.unparse(node)!r} is not a type for settings")


def _annotated(kind: ast.expr, *marks: ast.expr) -> Any:
    """Return a type with the limits of ``Field(ge=0, lt=1)``; other marks mean nothing here."""
    calls = [mark for mark in marks if isinstance(mark, ast.Call) and _last_name(mark) == "Field"]
    given = {entry.arg: entry.value for call in calls for entry in call.keywords if entry.arg in LIMITS}
    limits: dict[Any, Any] = {key: ast.literal_eval(value) for key, value in given.items()}
    return Annotated[_annotation(kind), Field(**limits)] if limits else _annotation(kind)


def _either(*kinds: Any) -> Any:
    """Return the union of types; text that may be a path is a path."""
    split = (get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,) for kind in kinds)
    found = [kind for inner in split for kind in inner]
    return Union[tuple(kind for kind in found if kind is not str or Path not in found)]  # noqa: UP007


def _definition(module: str, name: str) -> tuple[ast.Module, ast.FunctionDef | ast.ClassDef]:
    """Return the source of a module, and of its function or class, without importing it."""
    source = source_of(module)
    if source is None:
        raise InputError(f"module {module!r} was not found", "run from the folder that contains it, or install it")
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(f"{source} line {error.lineno}: {error.msg}", "fix this line of the module") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{source}: cannot be read as Python: {error}", "save it as UTF-8") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return tree, node
    imports = (alias for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names)
    if name in (alias.asname or alias.name for alias in imports):
        raise InputError(f"module {module!r} only imports {name!r}", "name the module that defines it")
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    raise InputError(f"module {module!r} has no {name!r}", nearest(name, names))


def source_of(module: str) -> Path | None:
    """Return the file of a module without importing its parent packages, unlike ``find_spec``."""
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    if own_module(f"{module}:"):
        add_cwd_to_path()
    first, *rest = module.split(".")
    spec = find_spec(first)
    if spec is None:
        return None
    stems = [Path(folder, *rest) for folder in spec.submodule_search_locations or ()]
    inner = [path for stem in stems for path in (stem / "__init__.py", Path(f"{stem}.py"))]
    found = inner if rest else [Path(str(spec.origin))]
    return next((path for path in found if path.suffix == ".py" and path.is_file()), None)
