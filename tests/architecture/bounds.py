"""Finds what a client may send without an end: a walk through the types that take its values."""

from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args

import msgspec
from litestar._kwargs import KwargsModel
from litestar.handlers import HTTPRouteHandler
from litestar.params import KwargDefinition
from litestar.typing import FieldDefinition
from msgspec import inspect

from leasehold.core.bulk import LINES
from leasehold.core.uploads import TAKES_LINES
from leasehold.http.marks import LISTS

_COLLECTIONS = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType, inspect.CollectionType)
_SHORT = (
    inspect.BoolType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.EnumType,
    inspect.LiteralType,
    inspect.NoneType,
    inspect.TimeType,
    inspect.UUIDType,
)
"""Of these there are no long values."""


def unbounded(kind: Any) -> list[str]:
    """Return the places in a type where a value has no bound, like `items[].title`: a text, a count or a number.

    Whatever number msgspec takes for a bound fits into PostgreSQL's bigint.
    """
    return list(_walk(inspect.type_info(kind), "", ()))


def unbounded_input(handler: HTTPRouteHandler, parameters: KwargsModel) -> list[str]:
    """Return what a route takes without a bound: in its body, in its lines, in its parameters, and in its filters."""
    found = []
    body = handler.parsed_data_field
    if body is not None:
        found += [f"body {place}" for place in unbounded(body.annotation)]
    for mark in {LINES, TAKES_LINES} & set(handler.opt):
        found += [f"line {place}" for place in unbounded(handler.opt[mark])]
    if LISTS in handler.opt:
        found += [f"filter {name}" for name, kind in handler.opt[LISTS].kinds.items() if unbounded(kind)]
    return found + [
        f"parameter {field.name}" for field in _parameters(handler, parameters) if unbounded(_limited(field))
    ]


def _parameters(handler: HTTPRouteHandler, parameters: KwargsModel) -> list[FieldDefinition]:
    """Return the parameters of path, query, header and cookie that a handler or one of its dependencies takes."""
    expected = (
        *parameters.expected_path_params,
        *parameters.expected_query_params,
        *parameters.expected_header_params,
        *parameters.expected_cookie_params,
    )
    providers = handler.resolve_dependencies().values()
    signatures = [one.parsed_fn_signature for one in (handler, *providers)]
    fields = {name: field for one in reversed(signatures) for name, field in one.parameters.items()}
    return [fields[one.field_name] for one in expected]


def _limited(field: FieldDefinition) -> Any:
    """Return the type of a parameter with its bounds, as msgspec has them."""
    said = field.kwarg_definition
    if not isinstance(said, KwargDefinition):
        return field.annotation
    bounds = {name: getattr(said, name) for name in ("ge", "gt", "le", "lt", "max_length", "pattern")}
    if said.max_items is not None:
        bounds["max_length"] = said.max_items
    meta = msgspec.Meta(**{name: value for name, value in bounds.items() if value is not None})
    kinds = get_args(field.annotation) if field.is_union else (field.annotation,)
    return Union[*(Annotated[one, meta] if one in (int, str) else one for one in kinds)]


def _walk(kind: inspect.Type, place: str, within: tuple[type, ...]) -> Iterator[str]:
    match kind:
        case inspect.Metadata():
            yield from _walk(kind.type, place, within)
        case inspect.StructType():
            if kind.cls in within:
                yield place  # nested in itself, without an end
                return
            for field in kind.fields:
                yield from _walk(field.type, f"{place}.{field.encode_name}".lstrip("."), (*within, kind.cls))
        case inspect.UnionType():
            for one in kind.types:
                yield from _walk(one, place, within)
        case inspect.TupleType():
            for index, one in enumerate(kind.item_types):
                yield from _walk(one, f"{place}[{index}]", within)
        case inspect.DictType():
            if kind.max_length is None:
                yield place
            yield from _walk(kind.key_type, f"{place}{{key}}", within)
            yield from _walk(kind.value_type, f"{place}{{}}", within)
        case inspect.IntType():
            if (kind.ge is None and kind.gt is None) or (kind.le is None and kind.lt is None):
                yield place
        case inspect.StrType() | inspect.BytesType():
            if kind.max_length is None:
                yield place
        case _ if isinstance(kind, _COLLECTIONS):
            if kind.max_length is None:
                yield place
            yield from _walk(kind.item_type, f"{place}[]", within)
        case _ if isinstance(kind, _SHORT):
            return
        case _:
            yield f"{place} ({type(kind).__name__})".strip()
