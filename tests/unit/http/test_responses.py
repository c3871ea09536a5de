"""The short way of an answer, and when an answer takes the long one."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from litestar import Litestar, Response, delete, get
from msgspec import Struct

from leasehold.http.responses import JsonResponse


class Thing(Struct):
    id: UUID
    name: str


_THING = Thing(UUID(int=7), "Köln")
_JSON = b'{"id":"00000000-0000-0000-0000-000000000007","name":"K\xc3\xb6ln"}'


@get("/thing")
async def get_thing() -> Thing:
    return _THING


@get("/own-headers")
async def get_with_headers() -> Response[Thing]:
    return JsonResponse(_THING, headers={"etag": '"1"'})


@get("/accepted", status_code=202)
async def get_accepted() -> Thing:
    return _THING


@get("/text", media_type="text/plain")
async def get_text() -> str:
    return "plain"


@delete("/thing")
async def delete_thing() -> None: ...


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    handlers = [get_thing, get_with_headers, get_accepted, get_text, delete_thing]
    app = Litestar(handlers, response_class=JsonResponse, logging_config=None, openapi_config=None)
    transport = httpx.ASGITransport(app)  # pyright: ignore[reportArgumentType]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_what_a_route_returns_is_sent_as_json_and_nothing_else(client: httpx.AsyncClient) -> None:
    answer = await client.get("/thing")
    assert answer.status_code == 200
    assert answer.content == _JSON
    assert sorted(answer.headers.items()) == [("content-length", str(len(_JSON))), ("content-type", "application/json")]


async def test_the_status_of_the_route_is_sent(client: httpx.AsyncClient) -> None:
    assert (await client.get("/accepted")).status_code == 202


async def test_headers_of_a_response_are_sent(client: httpx.AsyncClient) -> None:
    answer = await client.get("/own-headers")
    assert answer.headers["etag"] == '"1"'
    assert answer.content == _JSON


async def test_an_answer_without_content_has_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/thing")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers


async def test_what_is_no_json_is_sent_as_what_it_is(client: httpx.AsyncClient) -> None:
    answer = await client.get("/text")
    assert answer.text == "plain"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
