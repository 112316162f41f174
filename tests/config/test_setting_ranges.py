"""Every number that an experiment may set has a range, and the dry run refuses what is outside it."""

from collections.abc import Callable, Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from biocnn.config.registry import REGISTRY, target
from biocnn.config.schema import check, settings_schema
from biocnn.core.errors import InputError
from biocnn.core.wording import describe

BOUNDLESS = {
    "Images.ignore": "masks may have any values",
    "ResNet.mean": "intensities may be negative",
    "AlexNet.mean": "intensities may be negative",
    "VGG.mean": "intensities may be negative",
}
BEYOND = {"ge": -1, "gt": 0, "le": 1, "lt": 0}  # what is added to a limit to leave the range

Number = tuple[tuple[Any, ...], Callable[[Any], Any]]  # limits, and a function that puts a number into the setting


def numbers(annotation: Any, limits: tuple[Any, ...] = ()) -> Iterator[Number]:
    """Yield the numbers in values of a type."""
    origin, entries = get_origin(annotation), get_args(annotation)
    if annotation in (int, float):
        yield limits, lambda value: value
    elif origin is Annotated:
        yield from numbers(entries[0], tuple(limit for mark in entries[1:] for limit in getattr(mark, "metadata", ())))
    elif origin in (Union, UnionType):
        for entry in entries:
            yield from numbers(entry, limits)
    elif origin is dict:
        for inner, put in numbers(entries[1]):
            yield inner, lambda value, put=put: {"name": put(value)}
    elif origin in (list, tuple):
        rest = [] if ... in entries else [describe(entry)[1] for entry in entries[1:]]
        for inner, put in numbers(entries[0]):
            yield inner, lambda value, put=put: [put(value), *rest]


def all_numbers() -> Iterator[Any]:
    for kind, entries in REGISTRY.items():
        for name in entries:
            for key, field in settings_schema(target(kind, name)).model_fields.items():
                for limits, put in numbers(field.annotation, tuple(field.metadata)):
                    yield pytest.param(kind, name, key, limits, put, id=f"{name}.{key}")


CASES = [*all_numbers()]


@pytest.mark.parametrize(("kind", "name", "key", "limits", "put"), CASES)
def test_numbers_outside_their_range_are_refused(kind: str, name: str, key: str, limits: Any, put: Any) -> None:
    schema = settings_schema(target(kind, name))
    found = {sign: limit for one in limits for sign in BEYOND if (limit := getattr(one, sign, None)) is not None}
    assert bool(found) != (f"{name}.{key}" in BOUNDLESS)
    required = {k: describe(f.annotation)[1] for k, f in schema.model_fields.items() if f.is_required()}
    words, _ = describe(schema.model_fields[key].annotation, tuple(schema.model_fields[key].metadata))
    for sign, limit in found.items():
        with pytest.raises(InputError) as caught:
            check(schema, {**required, key: put(limit + BEYOND[sign])}, "here")
        assert caught.value.message.startswith(f"here.{key}: must be {words} (given: ")
        if sign in ("ge", "le"):
            check(schema, {**required, key: put(limit)}, "here")


def test_the_list_of_numbers_without_a_range_is_true() -> None:
    assert {case.id for case in CASES if not case.values[3]} == BOUNDLESS.keys()
