"""What is kept of an answer, whatever a route returns, on routes of no product and a memory in place of a table."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.di import NamedDependency, Provide
from litestar.middleware import DefineMiddleware
from litestar.response import Stream
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Meta, Struct

from leasehold.core.credentials import ShownOnce, fields_shown_once
from leasehold.core.idempotency.key import Answer, IdempotencyKey
from leasehold.core.principal import Principal
from leasehold.http.idempotency import AnswerReplayed, keyed_request, note_key, on_replayed, once, take_keys
from leasehold.http.responses import JsonResponse
from leasehold.http.routers import IdempotentPosts


class Made(Struct):
    number: int
    secret: ShownOnce = None


class Memory:
    """Keeps answers as a table would."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}

    async def claim(self, key: IdempotencyKey) -> Answer | None:
        return self.answers.get(key.text)

    async def keep(self, key: IdempotencyKey, answer: Answer) -> None:
        self.answers[key.text] = answer


class Gate:
    """Lets everybody in as the same client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["principal"] = Principal("client", UUID(int=1), frozenset(), None, 0)
        note_key(scope, dict(scope["headers"]).get(b"idempotency-key", b"").decode() or None)
        await self._app(scope, receive, send)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def client(memory: Memory) -> AsyncIterator[httpx.AsyncClient]:
    calls: list[int] = []

    async def provide_session(request: Request[Any, Any, State]) -> AsyncIterator[list[int]]:
        if (keyed := keyed_request(request)) is None:
            yield calls
        else:
            async with once(request, keyed, memory, pepper=b""):  # type: ignore[arg-type]
                yield calls

    def made(session: list[int]) -> Made:
        session.append(1)
        return Made(len(session), "s3cret")

    @post("/struct", scopes=())
    async def struct(session: NamedDependency[list[int]]) -> Made:
        return made(session)

    @post("/located", scopes=())
    async def located(session: NamedDependency[list[int]]) -> Response[Made]:
        cookies = [Cookie("session", "c00kie")]
        return Response(made(session), status_code=202, headers={"Location": "/made/1"}, cookies=cookies)

    @post("/short", scopes=())
    async def short(session: NamedDependency[list[int]]) -> Response[Made]:
        return JsonResponse(made(session), status_code=200)

    @post("/nothing", scopes=(), status_code=204)
    async def nothing(session: NamedDependency[list[int]]) -> None:
        made(session)

    @post("/refused", scopes=())
    async def refused(session: NamedDependency[list[int]]) -> Response[dict[str, str]]:
        made(session)
        return Response({"wrong": "code"}, status_code=422)

    @post("/stream", scopes=())
    async def stream(session: NamedDependency[list[int]]) -> Stream:
        made(session)
        return Stream(iter([b"a", b"b"]))

    @post("/without", scopes=())
    async def without() -> Made:
        return Made(0)

    @get("/read", scopes=())
    async def read(session: NamedDependency[list[int]]) -> Made:
        return made(session)

    handlers = [struct, located, short, nothing, refused, stream, without, read]
    app = Litestar(
        handlers,
        dependencies={"session": Provide(provide_session)},
        middleware=[DefineMiddleware(Gate)],
        exception_handlers={AnswerReplayed: on_replayed},
        response_class=JsonResponse,
        plugins=[IdempotentPosts()],
        logging_config=None,
        openapi_config=None,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # pyright: ignore[reportArgumentType]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        client.headers["Idempotency-Key"] = "a"
        yield client


@pytest.mark.parametrize(("path", "status"), [("/struct", 201), ("/short", 200), ("/located", 202)])
async def test_an_answer_is_given_again_without_its_secret(client: httpx.AsyncClient, path: str, status: int) -> None:
    first, again = [await client.post(path) for _ in range(2)]
    assert (first.status_code, again.status_code) == (status, status)
    assert first.json() == {"number": 1, "secret": "s3cret"}
    assert again.json() == {"number": 1, "secret": None}
    assert again.headers["content-type"] == "application/json"
    assert again.headers["content-length"] == str(len(again.content))
    assert [answer.headers.get("idempotent-replayed") for answer in (first, again)] == [None, "true"]


async def test_headers_of_an_answer_are_given_again_and_cookies_are_not(
    client: httpx.AsyncClient, memory: Memory
) -> None:
    first, again = [await client.post("/located") for _ in range(2)]
    assert (first.headers["location"], again.headers["location"]) == ("/made/1", "/made/1")
    assert "c00kie" in first.headers["set-cookie"]
    assert "set-cookie" not in again.headers
    assert memory.answers["a"].headers == {"location": "/made/1", "content-type": "application/json"}
    assert b"s3cret" not in memory.answers["a"].body


async def test_an_answer_without_content_is_given_again(client: httpx.AsyncClient) -> None:
    first, again = [await client.post("/nothing") for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (204, 204, b"")
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_refusal_is_not_kept_even_where_its_work_is_committed(
    client: httpx.AsyncClient, memory: Memory
) -> None:
    for _ in range(2):
        answer = await client.post("/refused")
        assert answer.status_code == 422
        assert "idempotent-replayed" not in answer.headers
    assert memory.answers == {}


async def test_an_answer_in_pieces_fails_with_a_key_and_works_without(client: httpx.AsyncClient) -> None:
    assert (await client.post("/stream")).status_code == 500
    del client.headers["Idempotency-Key"]
    assert (await client.post("/stream")).content == b"ab"


@pytest.mark.parametrize(("method", "path"), [("POST", "/without"), ("GET", "/read")])
async def test_a_route_that_writes_nothing_takes_no_key(
    client: httpx.AsyncClient, memory: Memory, method: str, path: str
) -> None:
    for _ in range(2):
        assert "idempotent-replayed" not in (await client.request(method, path)).headers
    assert memory.answers == {}


def test_a_route_with_a_hook_of_its_own_cannot_take_keys() -> None:
    async def hook(response: Response[Any]) -> Response[Any]:
        return response

    @post("/", after_request=hook)
    async def hooked() -> None: ...

    with pytest.raises(TypeError, match="after_request"):
        take_keys(hooked)


class Renamed(Struct, rename="camel"):
    plain: str
    one_secret: ShownOnce
    marked_otherwise: Annotated[str, Meta(description="shown_once")]


@pytest.mark.parametrize(
    ("annotation", "fields"),
    [
        (Made, ("secret",)),
        (Response[Made], ("secret",)),
        (Renamed, ("oneSecret",)),
        (Made | None, ("secret",)),
        (None, ()),
        (dict[str, str], ()),
    ],
)
def test_what_is_shown_once_is_known_by_its_mark(annotation: Any, fields: tuple[str, ...]) -> None:
    assert fields_shown_once(annotation) == fields
