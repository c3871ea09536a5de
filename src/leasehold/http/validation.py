"""Explains refused input: a pointer to each fault of the parameters or the body."""

from collections.abc import Sequence
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


def faults_of_fields(handler: BaseRouteHandler, faults: Sequence[FieldError]) -> list[FieldError]:
    """Return those faults that point to a field of the JSON body that the handler takes."""
    field = handler.parsed_data_field
    struct = field.annotation if field else None
    if not isinstance(struct, type) or not issubclass(struct, msgspec.Struct):
        return []
    taken = {f"/{name}" for name in struct.__struct_encode_fields__}
    return [fault for fault in faults if fault.pointer in taken]


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
    return faults_of(struct, raw)
