"""What routes return, as JSON on its way to the client."""

from typing import Any, TypeVar, cast

import msgspec
from litestar import Litestar, Request, Response
from litestar.enums import MediaType
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

ContentT = TypeVar("ContentT")
_encode = msgspec.json.Encoder().encode


class JsonResponse(Response[ContentT]):
    """Sends what a route returned as JSON, by the short way where nothing but the content is to be sent.

    Litestar's own way builds headers and cookies anew for every answer; that takes a tenth of a small GET.
    """

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **changes: Any) -> ASGIResponse:
        """Return what sends the response."""
        if self.content is None or self.media_type != MediaType.JSON or any(changes.values()):
            return super().to_asgi_response(app, request, **changes)  # pyright: ignore[reportUnknownMemberType]
        return cast("ASGIResponse", _Json(self.status_code or 200, _encode(self.content)))


class _Json:
    """An ASGI application that sends one JSON document."""

    __slots__ = ("_body", "_status")

    def __init__(self, status: int, body: bytes) -> None:
        self._status = status
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self._body))]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})
