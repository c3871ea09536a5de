"""Whatever a client may send has an end that the document names, long before the largest body has."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.routes import HTTPRoute
from msgspec import UNSET, Meta, Struct, UnsetType

from leasehold.core.bulk import LINES
from leasehold.core.listing.filters import Equal
from leasehold.core.listing.listing import Listing
from leasehold.core.uploads import TAKES_LINES
from leasehold.http.marks import LISTS
from leasehold.workspace.items import models, schemas
from tests.architecture.bounds import unbounded, unbounded_input

_LEFT_ASIDE = {f"line {name} (AnyType)" for name in ("id", "version", "created_at", "updated_at")}
_ALLOWED = {
    # What is in a line besides is bounded by the length of the line, and nobody looks at it.
    "POST /v1/items/import": _LEFT_ASIDE,
    # Each line is read on its own, so that one that is refused takes no other with it.
    "POST /v1/items/bulk": {"body items[] (AnyType)"},
    "PATCH /v1/items/bulk": {"body items[] (AnyType)"},
}
_NO_DATABASE = ("/docs/", "/openapi/")
"""Pages that look up a name of theirs among what they have in memory or in a folder."""


def _unbounded_routes(app: Litestar) -> dict[str, set[str]]:
    found = {
        f"{method} {route.path_format}": set(unbounded_input(handler, parameters))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, parameters) in route.route_handler_map.items()
    }
    return {name: places for name, places in found.items() if places}


def test_every_value_that_a_route_takes_is_bounded(litestar: Litestar) -> None:
    """Prevents a body of a mebibyte in one name, which is then kept, indexed, logged and shown to everybody."""
    found = _unbounded_routes(litestar)
    reaching = {name: places for name, places in found.items() if not name.partition(" ")[2].startswith(_NO_DATABASE)}
    assert reaching == _ALLOWED


def test_what_is_allowed_without_a_bound_reaches_no_database(litestar: Litestar) -> None:
    """Prevents an exception that outgrows its reason."""
    public = {name for name in _unbounded_routes(litestar) if name.partition(" ")[2].startswith(_NO_DATABASE)}
    assert public == {
        "GET /docs/assets/{file_path}",
        "GET /docs/problems/{name}",
        "GET /openapi/{path}",
        "HEAD /docs/assets/{file_path}",
    }


class Part(Struct):
    word: str


class Endless(Struct):
    parts: "list[Endless]"


class Bounded(Struct):
    word: Annotated[str, Meta(max_length=3)]
    words: Annotated[list[Annotated[str, Meta(max_length=3)]], Meta(max_length=3)]
    by_word: Annotated[dict[Annotated[str, Meta(max_length=3)], bool], Meta(max_length=3)]
    number: Annotated[int, Meta(ge=0, le=3)]
    choice: Literal["one", "two"]
    id: UUID | UnsetType | None = UNSET
    at: datetime | None = None


def test_what_is_bounded_is_left_alone() -> None:
    assert unbounded(Bounded) == []


@pytest.mark.parametrize(
    ("kind", "places"),
    [
        (str, [""]),
        (Annotated[str, Meta(pattern="^a*$")], [""]),
        (int, [""]),
        (Annotated[int, Meta(ge=0)], [""]),
        (Annotated[int, Meta(le=0)], [""]),
        (float, ["(FloatType)"]),
        (Any, ["(AnyType)"]),
        (list[bool], [""]),
        (set[bool], [""]),
        (tuple[bool, ...], [""]),
        (tuple[bool, str], ["[1]"]),
        (dict[Literal["a"], bool], [""]),
        (Annotated[dict[str, str], Meta(max_length=3)], ["{key}", "{}"]),
        (Annotated[list[str], Meta(max_length=3)], ["[]"]),
        (Part, ["word"]),
        (Part | None, ["word"]),
        (Annotated[list[Part], Meta(max_length=3)], ["[].word"]),
        (Endless, ["parts", "parts[]"]),
    ],
)
def test_what_has_no_bound_is_found_however_deep(kind: Any, places: list[str]) -> None:
    """Prevents the walk from passing because it looks away."""
    assert unbounded(kind) == places


def test_what_a_route_takes_without_a_bound_is_found_wherever_it_stands() -> None:
    """Prevents a parameter, a line or a filter from being forgotten by the walk."""

    def provide_tree(depth: Annotated[int, QueryParameter(ge=0)] = 0) -> int:
        return depth

    @post("/parts", opt={LINES: Part, TAKES_LINES: Bounded})
    async def make(data: JSONBody[Part]) -> None: ...

    listing = Listing(models.Item, schemas.Item, filters={"title": Equal(models.Item.title, str)})

    @get("/parts/{part:str}", opt={LISTS: listing}, dependencies={"tree": Provide(provide_tree, sync_to_thread=False)})
    async def read(
        part: FromPath[str],
        tree: NamedDependency[int],
        word: Annotated[str | None, QueryParameter(max_length=3)] = None,
    ) -> None: ...

    assert _unbounded_routes(Litestar([make, read], openapi_config=None)) == {
        "POST /parts": {"body word", "line word"},
        "GET /parts/{part}": {"filter title", "parameter part", "parameter depth"},
    }
