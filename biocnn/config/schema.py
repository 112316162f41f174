"""Schemas from signatures: settings are checked against keyword-only parameters, read without importing torch."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from biocnn.config.registry import REGISTRY, find, target
from biocnn.config.signatures import Choice, arguments, declared, evaluated, positional
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
    taken, name = positional(path), path.partition(":")[2]
    if kind == "losses" and not len(taken) - len(arguments(path).defaults) <= 2 <= len(taken):
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
    return json.dumps(value, default=lambda other: other.tolist() if hasattr(other, "tolist") else str(other))


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
    """Build a strict schema with ``name`` and the settings of ``module:name`` as fields, all described."""
    found, name = declared(path), path.partition(":")[2]
    fields: dict[str, Any] = {key: evaluated(key, setting, path) for key, setting in found.settings.items()}
    schema = create_model(name, __base__=Chosen, __doc__=found.summary, **fields)
    if not found.complete:
        schema.unread = (
            f"; settings of {name} are its own and those of base classes that its module defines or imports by name, "
            "either keyword-only parameters or fields of a dataclass: declare others in def __init__(self, *, ...)"
        )
    return schema


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
