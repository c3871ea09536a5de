"""Answers of any length, as lines of JSON. Only routes import this: it is said in Litestar's words."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

from litestar import Litestar, Request
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send

NDJSON = "application/x-ndjson"
TIMEOUT_S = 300.0
"""Seconds after which a stream is cut off, however slowly it is read."""


class LineStream(Stream):
    """Sends lines as they come, and is cut off in the middle where that takes too long.

    One that was cut off, or failed, lacks the end of its last chunk, by which a client knows it from a complete one.
    """

    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        super().__init__(lines, media_type=NDJSON)

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **changes: Any) -> ASGIResponse:
        """Return what sends the lines."""
        response = super().to_asgi_response(app, request, **changes)  # pyright: ignore[reportUnknownMemberType]
        return cast("ASGIResponse", _Limited(response))


class _Limited:
    """An ASGI application that is ended after a time."""

    __slots__ = ("_app",)

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await self._app(scope, receive, send)
