"""Explains refused input: a pointer to each fault of the parameters or the body."""

from typing import Any, cast

import msgspec
from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg

from leasehold.core.errors import FieldError
from leasehold.core.validation import UNREADABLE, faults_of, sentence


def explain_parameters(extra: Any, handler: BaseRouteHandler | None = None) -> list[FieldError]:
    """Return the faults that Litestar found in query, path, header and cookie parameters of a handler."""
    if not isinstance(extra, list):
        return []
    marks = {"query": "?", "path": "", "header": "header ", "cookie": "cookie "}
    faults = cast("list[dict[str, str]]", extra)
    return [
        FieldError(marks[fault["source"]] + _name_of(fault.get("key", ""), handler), sentence(fault["message"]))
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


def body_fields(handler: BaseRouteHandler) -> tuple[str, ...]:
    """Return the fields that the body of an operation can have, none where it takes no struct."""
    struct = _body_struct(handler)
    return struct.__struct_encode_fields__ if struct else ()


def explain_body(handler: BaseRouteHandler, body: bytes) -> list[FieldError]:
    """Return every fault of a JSON body against the struct that the handler takes."""
    struct = _body_struct(handler)
    if struct is None:
        return []
    try:
        raw = msgspec.json.decode(body)
    except UNREADABLE:
        return [FieldError("", "is not valid JSON, or nested too deeply")]
    return faults_of(struct, raw)


def _body_struct(handler: BaseRouteHandler) -> type[msgspec.Struct] | None:
    field = handler.parsed_data_field
    struct = field.annotation if field else None
    return struct if isinstance(struct, type) and issubclass(struct, msgspec.Struct) else None
