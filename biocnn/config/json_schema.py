"""JSON schema of the file of an experiment, for editors: names, types, ranges, defaults and descriptions."""

import inspect
from typing import Any

from pydantic import BaseModel

from biocnn.config.candidates import AUTO
from biocnn.config.registry import AUGMENT_SETS, REGISTRY, target
from biocnn.config.schema import chosen_kind, settings_schema
from biocnn.config.settings import Settings

SECTIONS = {"data": "data", "model": "models", "loss": "losses"}  # sections with a name, and their kinds
OWN = {  # a class or function of the user's own, with any settings
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": ":", "description": "import path: my_package.my_module:Name"}},
    "required": ["name"],
}


def experiment_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema, draft 2020-12)."""
    sections = {key: _section(key) for key in Settings.model_fields}
    kinds = {kind: _choice(kind) for kind in ("data", "models", "losses", "augment", "negatives")}
    named = {f"{kind}.{name}": _named(kind, name) for kind in kinds for name in REGISTRY[kind]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Experiment of biocnn",
        "type": "object",
        "properties": sections,
        "required": ["data"],
        "additionalProperties": False,
        "$defs": kinds | named,
    }


def _section(key: str) -> dict[str, Any]:
    """Return the schema of one key of the file; what the data decide may be null."""
    field = Settings.model_fields[key]
    about = {"description": field.description} if field.description else {}
    if key in SECTIONS:
        auto = {"model": [{"const": AUTO}], "loss": [{"type": "null"}]}.get(key, [])
        return about | {"anyOf": [*auto, {"$ref": f"#/$defs/{SECTIONS[key]}"}]}
    if key == "augment":
        entries = {"type": "array", "items": {"$ref": "#/$defs/augment"}}
        return about | {"anyOf": [{"enum": [*AUGMENT_SETS]}, entries, {"type": "null"}]}
    if isinstance(field.default, BaseModel):
        section = type(field.default)
        found = _object(section)
        return found | {"type": ["object", "null"], "description": inspect.cleandoc(section.__doc__ or "")}
    return _object(Settings)["properties"][key]


def _choice(kind: str) -> dict[str, Any]:
    """Return the schema of a section ``{name: ..., **settings}`` or a name."""
    schemas = {name: settings_schema(target(kind, name)).model_fields for name in REGISTRY[kind]}
    needs = {name: [key for key, field in fields.items() if field.is_required()] for name, fields in schemas.items()}
    alone = [name for name, keys in needs.items() if keys == ["name"]]
    sections = [{"$ref": f"#/$defs/{kind}.{name}"} for name in schemas]
    return {"anyOf": [*sections, OWN, {"enum": alone}, {"type": "string", "pattern": ":"}]}


def _named(kind: str, name: str) -> dict[str, Any]:
    """Return the schema of the settings of one class or function."""
    schema = settings_schema(target(kind, name))
    found = _object(schema)
    found["properties"]["name"] = {"const": name, "description": schema.__doc__}
    return found


def _object(schema: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a section without references, titles and the docstring."""
    found = schema.model_json_schema()
    inner = {f"#/$defs/{name}": one for name, one in found.get("$defs", {}).items()}

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return plain(inner[value["$ref"]])
        return {key: plain(entry) for key, entry in value.items() if not (key == "title" and isinstance(entry, str))}

    properties = {key: plain(found["properties"][key]) for key in schema.model_fields}
    for key, field in schema.model_fields.items():
        if kind := chosen_kind(field):
            nothing = [] if field.is_required() else [{"type": "null"}]
            properties[key] = {"description": field.description, "anyOf": [{"$ref": f"#/$defs/{kind}"}, *nothing]}
    required = [key for key, field in schema.model_fields.items() if field.is_required()]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
