"""Explains refused input: a pointer to each fault. msgspec stops at the first, so the error path looks again."""

from typing import Any, cast

import msgspec
from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg

from leasehold.core.errors import FieldError

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises where a body is no JSON, no UTF-8, or nested deeper than Python's stack."""


def explain_parameters(extra: Any, handler: BaseRouteHandler | None = None) -> list[FieldError]:
    """Return the faults that Litestar found in query, path, header and cookie parameters of a handler."""
    if not isinstance(extra, list):
        return []
    marks = {"query": "?", "path": "", "header": "header ", "cookie": "cookie "}
    faults = cast("list[dict[str, str]]", extra)
    return [
        FieldError(marks[fault["source"]] + _name_of(fault.get("key", ""), handler), _sentence(fault["message"]))
        for fault in faults
        if fault.get("source") in marks
    ]


def _name_of(key: str, handler: BaseRouteHandler | None) -> str:
    """Return what clients call a parameter that Litestar names after the argument of a handler or dependency."""
    if handler is None:
        return key
    providers = handler.resolve_dependencies().values()
    for signature in (handler.parsed_fn_signature, *(provider.parsed_fn_signature for provider in providers)):
        field = signature.parameters.get(key)
        definition = field.kwarg_definition if field else None
        if isinstance(definition, ParameterKwarg) and definition.name:
            return definition.name
    return key


def explain_body(handler: BaseRouteHandler, body: bytes) -> list[FieldError]:
    """Return every fault of a JSON body against the struct that the handler takes."""
    field = handler.parsed_data_field
    struct = field.annotation if field else None
    if not isinstance(struct, type) or not issubclass(struct, msgspec.Struct):
        return []
    try:
        raw = msgspec.json.decode(body)
    except UNREADABLE:
        return [FieldError("", "is not valid JSON, or nested too deeply")]
    return _faults(struct, raw)


def _faults(struct: type[msgspec.Struct], raw: Any) -> list[FieldError]:
    if not isinstance(raw, dict):
        return [FieldError("", "must be an object")]
    given = cast("dict[str, Any]", raw)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    faults = [FieldError(_pointer(name), "is not a known field") for name in given if name not in fields]
    for name, field in fields.items():
        if name in given:
            faults += _fault_of_value(name, given[name], field.type)
        elif field.required:
            faults.append(FieldError(_pointer(name), "is missing"))
    return faults


def _fault_of_value(name: str, value: Any, kind: Any) -> list[FieldError]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        # Inside a map msgspec does not say which key: the pointer then ends at the map.
        inner = place.rstrip("`").partition("[...]")[0].replace("[", "/").replace("]", "").replace(".", "/")
        return [FieldError(_pointer(name) + inner, _sentence(message))]
    return []


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:]
