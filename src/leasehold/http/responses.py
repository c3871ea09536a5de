"""What routes return, as JSON on its way to the client. One row that has an entity tag is sent with it."""

from typing import Any, TypeVar, cast

import msgspec
from litestar import Litestar, Request, Response
from litestar.enums import MediaType
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from leasehold.core.compression import ENCODED, LARGE_BYTES, VARY, compressed, wants_gzip
from leasehold.core.preconditions import is_known, tag_of

ContentT = TypeVar("ContentT")
_encode = msgspec.json.Encoder().encode


class JsonResponse(Response[ContentT]):
    """Sends what a route returned as JSON, by the short way where nothing but the content is to be sent.

    Litestar's own way builds a response, headers and cookies anew for every answer; that takes a tenth of a small GET.
    """

    def __new__(  # pyright: ignore[reportInconsistentConstructor]  # it passes on nothing
        cls,
        content: ContentT,
        *,
        status_code: int | None = None,
        media_type: MediaType | str | None = None,
        headers: Any = None,
        cookies: Any = None,
        background: Any = None,
        **_: Any,
    ) -> "JsonResponse[ContentT]":
        """Return a document that is encoded already, in place of a response, where that is enough."""
        if content is None or media_type != MediaType.JSON or headers or cookies or background:
            return super().__new__(cls)
        document = JsonDocument(status_code or 200, _encode(content), tag_of(content))
        return cast("JsonResponse[ContentT]", document)


class JsonDocument:
    """An ASGI application that sends one JSON document."""

    __slots__ = ("body", "etag", "status_code")

    def __init__(self, status_code: int, body: bytes, etag: str | None = None) -> None:
        self.status_code = status_code
        self.body = body
        self.etag = etag

    @property
    def headers(self) -> dict[str, str]:
        """What the document is sent with, but for its length."""
        return {"content-type": "application/json"} | ({"etag": self.etag} if self.etag else {})

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **changes: Any) -> ASGIResponse:
        """Return what sends the document: itself, unless the route has declared headers or cookies."""
        if not any(changes.values()):
            return cast("ASGIResponse", self)
        headers = {"etag": self.etag} if self.etag else None
        response = Response(self.body, status_code=self.status_code, media_type=MediaType.JSON, headers=headers)
        return response.to_asgi_response(app, request, **changes)  # pyright: ignore[reportUnknownMemberType]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the document, or to who has it already only that it is still the same (RFC 9110, section 15.4.5)."""
        body = self.body
        headers = [(b"content-type", b"application/json")]
        if self.etag is None:
            if len(body) >= LARGE_BYTES:
                headers.append(VARY)
                if wants_gzip(scope["headers"]):
                    headers.append(ENCODED)
                    body = compressed(body)
        else:
            tag = (b"etag", self.etag.encode())
            if scope["type"] == "http" and scope["method"] == "GET" and _is_known(scope, self.etag):
                await send({"type": "http.response.start", "status": 304, "headers": [tag]})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            headers.append(tag)
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _is_known(scope: Scope, etag: str) -> bool:
    return any(name == b"if-none-match" and is_known(value.decode("latin-1"), etag) for name, value in scope["headers"])
