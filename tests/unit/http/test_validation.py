"""Pointers to what is wrong with the input."""

from types import SimpleNamespace
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec
import pytest
from litestar.handlers import BaseRouteHandler

from leasehold.core.errors import FieldError
from leasehold.http.validation import explain_body, explain_parameters


class Line(msgspec.Struct, forbid_unknown_fields=True):
    sku: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class Order(msgspec.Struct, forbid_unknown_fields=True):
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=5)]
    id: UUID
    kind: Literal["new", "old"] = "new"
    note: str | msgspec.UnsetType = msgspec.UNSET
    lines: list[Line] = []
    first: Line | None = None
    prices: dict[str, int] = {}
    tilde: Annotated[int, msgspec.Meta()] = msgspec.field(default=0, name="a/b~c")


_ID = "0199a1f0-0000-7000-8000-000000000001"


def _handler(annotation: Any) -> BaseRouteHandler:
    """Stands for a route that takes this as its body."""
    return cast("BaseRouteHandler", SimpleNamespace(parsed_data_field=SimpleNamespace(annotation=annotation)))


def _faults(body: bytes) -> dict[str, str]:
    return {fault.pointer: fault.detail for fault in explain_body(_handler(Order), body)}


def _order(**fields: Any) -> bytes:
    return msgspec.json.encode({"title": "Desk", "id": _ID, **fields})


def test_a_body_that_is_as_it_should_be_has_no_faults() -> None:
    assert _faults(_order(lines=[{"sku": "a", "count": 2}], first=None, prices={"a": 1}, note="x")) == {}


def test_every_field_that_is_missing_is_pointed_at() -> None:
    assert _faults(b"{}") == {"/title": "is missing", "/id": "is missing"}


def test_every_field_that_is_unknown_is_pointed_at() -> None:
    assert _faults(_order(colour="red", **{"a~b": 1, "c/d": 2})) == {
        "/colour": "is not a known field",
        "/a~0b": "is not a known field",
        "/c~1d": "is not a known field",
    }


def test_missing_unknown_and_wrong_are_all_told_at_once() -> None:
    assert _faults(b'{"title": 1, "kind": "odd", "size": 2}') == {
        "/title": "expected `str`, got `int`",
        "/kind": "invalid enum value 'odd'",
        "/size": "is not a known field",
        "/id": "is missing",
    }


@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        ("title", None, "expected `str`, got `null`"),
        ("title", "", "expected `str` of length >= 1"),
        ("title", "too long", "expected `str` of length <= 5"),
        ("title", ["Desk"], "expected `str`, got `array`"),
        ("id", "1", "invalid UUID"),
        ("id", 1, "expected `uuid`, got `int`"),
        ("note", None, "expected `str`, got `null`"),
        ("lines", {}, "expected `array`, got `object`"),
        ("first", 1, "expected `object | null`, got `int`"),
    ],
)
def test_a_wrong_value_is_pointed_at(field: str, value: Any, detail: str) -> None:
    assert _faults(_order(**{field: value})) == {f"/{field}": detail}


def test_a_wrong_value_inside_a_list_is_pointed_at() -> None:
    assert _faults(_order(lines=[{"sku": "a"}, {"sku": 1}])) == {"/lines/1/sku": "expected `str`, got `int`"}
    assert _faults(_order(lines=[{"sku": "a", "count": 0}])) == {"/lines/0/count": "expected `int` >= 1"}
    assert _faults(_order(lines=["a"])) == {"/lines/0": "expected `object`, got `str`"}


def test_a_wrong_value_inside_an_object_is_pointed_at() -> None:
    assert _faults(_order(first={"sku": 1})) == {"/first/sku": "expected `str`, got `int`"}


def test_a_wrong_value_inside_a_map_points_at_the_map() -> None:
    assert _faults(_order(prices={"a": 1, "b": "x"})) == {"/prices": "expected `int`, got `str`"}


def test_a_pointer_escapes_what_has_a_meaning_in_it() -> None:
    assert _faults(_order(**{"a/b~c": "x"})) == {"/a~1b~0c": "expected `int`, got `str`"}


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"true"])
def test_a_body_that_is_no_object_is_told_as_a_whole(body: bytes) -> None:
    assert _faults(body) == {"": "must be an object"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'title': 1}",
        b'{"title": "Desk",}',
        b"NaN",
        b"\xff",
        b'{"title": "\xff"}',
        b'{"title": "\\ud800"}',
        b"[" * 100_000,
        b'{"title": ' + b'{"a":' * 100_000,
    ],
    ids=range(10),
)
def test_a_body_that_is_no_json_is_told_as_a_whole(body: bytes) -> None:
    assert list(_faults(body)) == [""]


@pytest.mark.parametrize("annotation", [dict, str, Any, list[Line], None])
def test_a_body_that_is_not_read_into_a_struct_is_not_explained(annotation: Any) -> None:
    assert explain_body(_handler(annotation), b"{}") == []


def test_a_route_without_a_body_has_nothing_to_explain() -> None:
    assert explain_body(cast("BaseRouteHandler", SimpleNamespace(parsed_data_field=None)), b"{}") == []


def test_faults_of_parameters_say_where_they_stood() -> None:
    extra = [
        {"message": "Expected `int` >= 1", "key": "limit", "source": "query"},
        {"message": "Invalid UUID", "key": "item_id", "source": "path"},
        {"message": "Expected `str`", "key": "if-match", "source": "header"},
        {"message": "Expected `str`", "key": "session", "source": "cookie"},
        {"message": "Expected `str`", "key": "title", "source": "body"},
        {"message": "Expected `str`"},
    ]
    assert explain_parameters(extra) == [
        FieldError("?limit", "expected `int` >= 1"),
        FieldError("item_id", "invalid UUID"),
        FieldError("header if-match", "expected `str`"),
        FieldError("cookie session", "expected `str`"),
    ]


@pytest.mark.parametrize("extra", [None, {}, "text", []])
def test_without_faults_of_parameters_there_is_nothing_to_say(extra: Any) -> None:
    assert explain_parameters(extra) == []
