"""Ranges of numbers in annotations of settings, which are checked before anything runs."""

from dataclasses import fields
from functools import cache
from typing import Annotated, Any, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError

from biocnn.core.errors import InputError
from biocnn.core.wording import describe, given, shown

Size = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]


def check_fields(settings: Any, section: str) -> None:
    """Refuse values of a dataclass, made in Python, that do not suit their annotations."""
    kind: Any = type(settings)
    for key, (hint, adapter) in _adapters(kind).items():
        try:
            adapter.validate_python(value := getattr(settings, key))
        except ValidationError as error:
            words, some = describe(hint)
            message = f"{section}.{key}: must be {words} (given: {given(value)})"
            raise InputError(message, f"for example {key}: {shown(some)}") from error


@cache
def _adapters(kind: Any) -> dict[str, tuple[Any, TypeAdapter[Any]]]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: (hints[field.name], TypeAdapter(hints[field.name])) for field in fields(kind)}
