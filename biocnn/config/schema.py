"""Schemas from signatures: settings are checked against keyword-only parameters, read without importing torch."""

import ast
import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from biocnn.config.registry import REGISTRY, add_cwd_to_path, find, own_module, target
from biocnn.core.errors import Collector, InputError, close, nearest
from biocnn.core.wording import describe, shown
from biocnn.core.wording import given as as_given

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class Section(BaseModel):
    """A group of settings; ``check`` validates user input into one."""

    model_config = STRICT
    unread: ClassVar[str] = ""  # for the remedy of an unknown key: settings that cannot be read from the signature


class Chosen(Section):
    """A section that names a class or function and holds its settings as further fields; made by ``choose``."""

    name: str


class Choice:
    """Annotation ``Choice["negatives"]``: a section ``{name: ..., **settings}`` or a name of that kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __class_getitem__(cls, kind: str) -> Any:
        return Annotated[Any, cls(kind)]


# Types that annotations may use; sequences and mappings are lists and dicts, as in a YAML file.
PLAIN = {kind.__name__: kind for kind in (int, float, bool, str, list, tuple, dict, Path)} | {"Any": Any, "None": None}
GENERIC: dict[str, Any] = {"list": list, "tuple": tuple, "dict": dict, "Sequence": list, "Mapping": dict}

Kind = TypeVar("Kind", bound=Section)


def choose(kind: str, section: Any, where: str) -> Chosen:
    """Validate a section ``{name: ..., **settings}`` and fill in all defaults.

    Parameters
    ----------
    kind
        Key of the registry: data, models, losses, augment or negatives.
    section
        A mapping with a name, or the name alone, as read from YAML; a validated section is returned unchanged.
    where
        Dotted key, for messages.
    """
    if isinstance(section, Chosen):
        return section
    section = {"name": section} if isinstance(section, str) else section
    if not isinstance(section, dict) or not isinstance(section.get("name"), str):
        raise InputError(f"{where}: must have a name", f"for example {where}: {{name: {example(kind)}}}")
    try:
        path = target(kind, section["name"])
        _check_signature(kind, path)
        schema = settings_schema(path)
    except InputError as error:
        raise InputError(f"{where}.name: {error.message}", error.remedy) from error
    return check(schema, section, where)


def _check_signature(kind: str, path: str) -> None:
    """Refuse a function that does not accept the arguments of an augmentation or of a loss."""
    taken, arguments, name = positional(path), _signature(path), path.partition(":")[2]
    if kind == "losses" and not len(taken) - len(arguments.defaults) <= 2 <= len(taken):
        raise InputError(
            f"{name}({', '.join(taken)}) does not have the signature of a loss",
            f"define {name}(logits, target, class_weights=None, *, settings); class_weights may be left out",
        )
    if kind == "augment" and len(taken) != 2:
        raise InputError(
            f"{name}({', '.join(taken)}) does not have the signature of an augmentation",
            f"define {name}(x, u, *, settings) and return x, move: STAY of biocnn.augment.move if no pixel moves, "
            "otherwise a Move, which is applied to the target",
        )


def positional(path: str) -> list[str]:
    """Return the positional parameters of ``module:name``, without importing the module."""
    arguments = _signature(path)
    return [argument.arg for argument in arguments.posonlyargs + arguments.args]


def _signature(path: str) -> ast.arguments:
    module, _, name = path.partition(":")
    return _parameters(definition(module, name))


def check(schema: type[Kind], given: Any, where: str = "") -> Kind:
    """Validate ``given``; every fault names the dotted key and what is allowed."""
    known_keys = [key for key in schema.model_fields if key != "name"]
    if not isinstance(given, dict):
        words = ", ".join(known_keys) or "nothing"
        raise InputError(f"{where}: must be a section (given: {as_given(given)})", f"allowed keys: {words}")
    collector, known = Collector(), {}
    for key, value in given.items():
        field, dotted = schema.model_fields.get(key), _dotted(where, key)
        with collector:
            if field is None:
                raise InputError(
                    f"{dotted}: unknown key", nearest(key, known_keys or ["(no settings)"]) + schema.unread
                )
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                check(field.annotation, value, dotted)
            if field.is_required() or _text(value) != _text(field.default):  # a default needs no check
                known[key] = value
    try:
        # JSON keeps types strict (no true for 1, no text for a number), yet reads text as a path and a list as a tuple.
        found = schema.model_validate_json(_text(known))
    except ValidationError as error:
        wrong = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors())
        # A missing key may only be misspelt, which is already reported.
        meant = {hit for key in given if key not in schema.model_fields for hit in close(key, schema.model_fields)}
        collector.faults += [
            _fault(schema, known, key, where) for key in wrong if key in known or key not in given.keys() | meant
        ]
    collector.finish()
    chosen = {}
    for key, field in schema.model_fields.items():
        if (kind := chosen_kind(field)) and (value := getattr(found, key)) is not None:
            with collector:
                chosen[key] = choose(kind, value, _dotted(where, key))
    collector.finish()
    return found.model_copy(update=chosen)


def _dotted(where: str, key: str) -> str:
    return f"{where}.{key}" if where else str(key)


def _text(value: Any) -> str:
    return json.dumps(value, default=lambda other: other.item() if hasattr(other, "item") else str(other))


def chosen_kind(field: FieldInfo) -> str:
    """Return the kind of a setting that is a section with a name; "" for any other."""
    parts = (field.annotation, *get_args(field.annotation))
    marks = [*field.metadata, *(mark for part in parts for mark in getattr(part, "__metadata__", ()))]
    return next((mark.kind for mark in marks if isinstance(mark, Choice)), "")


def _fault(schema: type[BaseModel], given: dict[str, Any], key: str, where: str) -> InputError:
    """Describe what is wrong with a setting, what it must be, and give an example."""
    field = schema.model_fields[key]
    words, some = describe(field.annotation, tuple(field.metadata))
    some = field.examples[0] if field.examples else some
    dotted = _dotted(where, key)
    value = f"must be {words} (given: {as_given(given[key])})" if key in given else f"is missing: {words}"
    if quoted := _quoted(given.get(key)):
        if _suits(schema, given | {key: quoted}, key):
            return InputError(f"{dotted}: {value}", f"write text in quotes: {key}: {json.dumps(quoted)}")
    elif isinstance(given.get(key), str) and not given[key][:1].isdigit():  # 10% is meant to be a number
        listed = [word.strip() for word in given[key].split(",")]
        if _suits(schema, given | {key: listed}, key):
            return InputError(f"{dotted}: {value}", f"write a list: {key}: {shown(listed)}")
    if field.is_required():
        return InputError(f"{dotted}: {value}", f"for example {key}: {shown(some)}")
    entries = [word for part in (field.annotation, *get_args(field.annotation)) for word in _words(part)]
    if hit := close(str(given.get(key)), entries):
        return InputError(f"{dotted}: {value}", f"did you mean {hit[0]!r}? allowed: {', '.join(entries)}")
    default = field.get_default(call_default_factory=True)
    if default in (None, [], {}):
        return InputError(f"{dotted}: {value}", f"for example {key}: {shown(some)}; left out: {shown(default)}")
    left_out = "; left out: decided from the data" if type(None) in get_args(field.annotation) else ", the default"
    return InputError(f"{dotted}: {value}", f"for example {key}: {shown(default)}{left_out}")


def _quoted(value: Any) -> Any:
    """Return numbers, or a list with some, as text; None for anything else."""
    if isinstance(value, list):
        return [_quoted(entry) or entry for entry in value] if any(map(_quoted, value)) else None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _words(annotation: Any) -> list[str]:
    return [word for word in get_args(annotation) if isinstance(word, str)] if get_origin(annotation) is Literal else []


def _suits(schema: type[BaseModel], given: dict[str, Any], key: str) -> bool:
    """Check one setting, whatever the others are."""
    try:
        schema.model_validate_json(_text(given))
    except ValidationError as error:
        return all(fault["loc"][0] != key for fault in error.errors())
    return True


def example(kind: str) -> str:
    """Return a name of this kind, for messages."""
    return next(iter(REGISTRY[kind]))


@cache
def settings_schema(path: str) -> type[Chosen]:
    """Build a strict schema with ``name`` and the keyword-only parameters of ``module:name`` as fields."""
    arguments, name = _signature(path), path.partition(":")[2]
    fields: dict[str, Any] = {
        parameter.arg: _evaluate(parameter, default, path)
        for parameter, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }
    schema = create_model(name, __base__=Chosen, **fields)
    if arguments.kwarg:
        schema.unread = (
            f"; settings of {name} are the keyword-only parameters in its own signature, not inherited ones, ** or "
            "fields of a dataclass: declare them in def __init__(self, *, ...)"
        )
    return schema


def _evaluate(parameter: ast.arg, default: ast.expr | None, where: str) -> tuple[Any, Any]:
    """Read the annotation and default of a setting without running code; ``...`` means no default."""
    try:
        if parameter.arg.startswith("_") or parameter.arg == "name":
            raise ValueError("a setting cannot have this name")
        annotation = _annotation(parameter.annotation) if parameter.annotation else Any
        return annotation, ... if default is None else ast.literal_eval(default)
    except (ValueError, TypeError, SyntaxError, RecursionError) as error:
        raise InputError(
            f"setting {parameter.arg!r} of {where} cannot be read: {error}",
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
                    return _annotation(entries[0])
                case "Optional":
                    return _either(_annotation(inner), None)
                case "Union":
                    return _either(*map(_annotation, entries))
                case _ if name in GENERIC:
                    kinds = tuple(... if ast.unparse(entry) == "..." else _annotation(entry) for entry in entries)
                    return GENERIC[name][kinds]
    raise ValueError(f"{ast.unparse(node)!r} is not a type for settings")


def _either(*kinds: Any) -> Any:
    """Return the union of types; text that may be a path is a path."""
    split = (get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,) for kind in kinds)
    found = [kind for inner in split for kind in inner]
    return Union[tuple(kind for kind in found if kind is not str or Path not in found)]  # noqa: UP007


def options(given: dict[str, Any], *schemas: type[Kind]) -> list[Kind]:
    """Validate keyword arguments as sections; an error names the wrong keyword or value and what is allowed.

    Settings that are files are not options: calls and commands take them as arguments.
    """
    known = [key for schema in schemas for key in option_fields(schema)]
    collector, found = Collector(), []
    for key in given.keys() - set(known):
        collector.faults.append(InputError(f"{key}: unknown option", nearest(key, known)))
    for schema in schemas:
        with collector:
            fields = option_fields(schema)
            found.append(check(schema, {key: value for key, value in given.items() if key in fields}))
    collector.finish()
    return found


def option_fields(schema: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the settings of a section that are not files."""
    return {key: field for key, field in schema.model_fields.items() if Path not in get_args(field.annotation)}


def build(kind: str, section: Any, *arguments: Any) -> Any:
    """Call the class or function of a section with ``arguments`` and the section's settings as keywords."""
    section = choose(kind, section, kind)
    return find(kind, section.name)(*arguments, **own_settings(section))


def own_settings(section: Chosen) -> dict[str, Any]:
    """Return the settings of a section without its name."""
    return {key: value for key, value in section if key != "name"}


def map_paths(change: Callable[[Path, str], Path], value: Any, where: str = "") -> Any:
    """Replace paths, alone or in sections, lists and mappings; ``change`` gets the path and its dotted key."""
    match value:
        case Path():
            return change(value, where)
        case BaseModel():
            return value.model_copy(update={key: map_paths(change, inner, _dotted(where, key)) for key, inner in value})
        case dict():
            return {key: map_paths(change, inner, _dotted(where, key)) for key, inner in value.items()}
        case list() | tuple():
            return type(value)(map_paths(change, inner, _dotted(where, str(i))) for i, inner in enumerate(value))
    return value


def definition(module: str, name: str) -> ast.FunctionDef | ast.ClassDef:
    """Return the source of a function or class without importing its module."""
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
            return node
    imports = (alias for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names)
    if name in (alias.asname or alias.name for alias in imports):
        raise InputError(f"module {module!r} only imports {name!r}", "name the module that defines it")
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    raise InputError(f"module {module!r} has no {name!r}", nearest(name, names))


def _parameters(definition: ast.FunctionDef | ast.ClassDef) -> ast.arguments:
    """Return the parameters of a function, or of a class's own ``__init__``; ``**`` if it has an inherited one."""
    if isinstance(definition, ast.FunctionDef):
        return definition.args
    for item in definition.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return item.args
    inherited = ast.arg("inherited") if definition.bases or definition.decorator_list else None
    return ast.arguments([], [], None, [], [], inherited, [])


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
