"""The header Idempotency-Key: what was done for a request is done once, and answered again as often as it is asked.

The key is claimed when the unit of work begins, and the answer is kept as its last words. So both are one transaction
with the work: whoever dies leaves all of it or nothing. A refusal is not kept, and leaves the key free.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import ASGIApp, Scope

from leasehold.core.credentials import fields_shown_once
from leasehold.core.idempotency.key import Answer, IdempotencyKey, fingerprint, parse_key
from leasehold.core.idempotency.service import IdempotencyService
from leasehold.core.principal import Principal
from leasehold.http.responses import JsonDocument
from leasehold.http.uploads import upload_of

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"

TAKES_KEY = "takes_idempotency_key"
"""Marks a route that takes the header, and names the fields of its answer that are shown once."""

_STATE = "idempotency"
_AnyRequest = Request[Any, Any, State]


@dataclass(slots=True)
class KeyedRequest:
    """A request that came with a key, and what was found out and made of it since."""

    text: str
    key: IdempotencyKey | None = None
    answer: Answer | None = None


class AnswerReplayed(Exception):
    """The request was carried out before; its answer is given again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(self.__doc__)
        self.answer = answer


def take_keys(handler: HTTPRouteHandler) -> None:
    """Let a route take the header, before it is called for the first time.

    Raises:
        TypeError: the route has a hook of its own where answers are noted.
    """
    if TAKES_KEY in handler.opt:
        return
    if handler.after_request is not None:  # pyright: ignore[reportUnknownMemberType]
        raise TypeError(f"{handler} has an after_request of its own, so its answers cannot be kept")
    handler.opt[TAKES_KEY] = fields_shown_once(handler.parsed_fn_signature.return_type.raw)
    handler.after_request = _noting


def note_key(scope: Scope, header: str | None) -> None:
    """Note the key of a request whose route takes one.

    Raises:
        InvalidIdempotencyKey: the header is there and has none.
    """
    if header is not None and TAKES_KEY in scope["route_handler"].opt:
        scope["state"][_STATE] = KeyedRequest(parse_key(header))


def keyed_request(request: _AnyRequest) -> KeyedRequest | None:
    """Return what is known of the key of a request, None if it has none."""
    return request.scope["state"].get(_STATE)


@asynccontextmanager
async def once(
    request: _AnyRequest, keyed: KeyedRequest, keys: IdempotencyService[Any], *, pepper: bytes
) -> AsyncGenerator[None]:
    """Let the work of a request be done if it was not done before, and keep its answer.

    Raises:
        AnswerReplayed: it was done before.
        IdempotencyKeyInUse, IdempotencyKeyReused: see `IdempotencyService.claim`.
    """
    principal: Principal = request.scope["state"]["principal"]
    query, upload = request.scope["query_string"], upload_of(request)
    key = IdempotencyKey(
        principal.subject,
        keyed.text,
        fingerprint(
            pepper,
            kind=principal.kind,
            subject=principal.subject,
            method=request.scope["method"],
            target=f"{request.scope['path']}?{query.decode('latin-1')}",
            body=upload.digest if upload else await request.body(),
        ),
    )
    kept = await keys.claim(key)
    if kept is not None:
        raise AnswerReplayed(kept)
    keyed.key = key
    yield
    if keyed.answer is None:
        raise RuntimeError("the answer was not noted, so it cannot be kept")
    if keyed.answer.status < 400:
        await keys.keep(key, keyed.answer)


def on_replayed(_request: _AnyRequest, error: AnswerReplayed) -> Response[bytes]:
    """Give an answer again, and say that it is not the first time."""
    headers = dict(error.answer.headers)
    media_type = headers.pop("content-type", None)
    headers[REPLAYED_HEADER] = "true"
    return Response(error.answer.body, status_code=error.answer.status, media_type=media_type, headers=headers)


async def _noting(response: Response[Any]) -> Response[Any]:
    return cast("Response[Any]", _Noted(response))


class _Noted:
    """A response that notes what it becomes, which is before the unit of work ends."""

    __slots__ = ("_response",)

    def __init__(self, response: Response[Any]) -> None:
        self._response = response

    def to_asgi_response(self, app: None, request: _AnyRequest, **changes: Any) -> ASGIApp:
        """Return what sends the response."""
        sends = self._response.to_asgi_response(app, request, **changes)  # pyright: ignore[reportUnknownMemberType]
        keyed = keyed_request(request)
        if keyed is not None:
            keyed.answer = _answer_of(sends, request.scope["route_handler"].opt[TAKES_KEY])
        return sends


def _answer_of(sends: object, shown_once: tuple[str, ...]) -> Answer:
    """Return what is to be kept of an answer.

    Raises:
        TypeError: it is not sent in one piece, so it cannot be kept.
    """
    if isinstance(sends, JsonDocument):
        return Answer(sends.status_code, sends.headers, _withheld(sends.body, shown_once))
    if not isinstance(sends, ASGIResponse) or isinstance(sends, ASGIStreamingResponse):
        raise TypeError("only an answer that is sent in one piece can be kept")
    headers: Mapping[str, str] = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in sends.headers.headers
        if name.lower() != b"content-length"
    }
    return Answer(sends.status_code, headers, _withheld(sends.body, shown_once))


def _withheld(body: bytes, shown_once: tuple[str, ...]) -> bytes:
    if not shown_once:
        return body
    return msgspec.json.encode(msgspec.json.decode(body) | dict.fromkeys(shown_once))
