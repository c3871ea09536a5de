"""What is wrong with a value from a client: a pointer to each fault. msgspec stops at the first; this looks again."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar, cast

import msgspec

from leasehold.core.errors import MOST_FAULTS, FieldError, Invalid

StructT = TypeVar("StructT", bound=msgspec.Struct)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises where a body is no JSON, no UTF-8, or nested deeper than Python's stack."""


def converted(raw: Any, struct: type[StructT]) -> StructT:
    """Return a value that was read from JSON as a struct.

    Raises:
        Invalid: it does not fit; with all of its faults.
    """
    try:
        return msgspec.convert(raw, struct)
    except msgspec.ValidationError as error:
        raise Invalid(errors=faults_of(struct, raw)) from error


def within(place: str, errors: tuple[FieldError, ...]) -> list[FieldError]:
    """Return faults of a part as faults of the whole: `place` is where the part stands."""
    return [FieldError(place + error.pointer, error.detail) for error in errors]


def faults_of(struct: type[msgspec.Struct], raw: Any) -> list[FieldError]:
    """Return the faults of a value against a struct, up to `MOST_FAULTS`."""
    return list(islice(_faults(struct, raw), MOST_FAULTS))


def _faults(struct: type[msgspec.Struct], raw: Any) -> Iterator[FieldError]:
    if not isinstance(raw, dict):
        yield FieldError("", "must be an object")
        return
    given = cast("dict[str, Any]", raw)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name in given:
        if name not in fields:
            yield FieldError(_pointer(name), "is not a known field")
    for name, field in fields.items():
        if name in given:
            yield from _fault_of_value(name, given[name], field.type)
        elif field.required:
            yield FieldError(_pointer(name), "is missing")


def _fault_of_value(name: str, value: Any, kind: Any) -> list[FieldError]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        # Inside a map msgspec does not say which key: the pointer then ends at the map.
        inner = place.rstrip("`").partition("[...]")[0].replace("[", "/").replace("]", "").replace(".", "/")
        return [FieldError(_pointer(name) + inner, sentence(message))]
    return []


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def sentence(message: str) -> str:
    """Return a message of msgspec as it stands behind a pointer."""
    return message[:1].lower() + message[1:]
