"""Answers of any length, as lines of JSON. Only routes import this: it is said in Litestar's words."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from litestar import Litestar, Request
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from leasehold.core.compression import ENCODED, VARY, compressed_parts, wants_gzip

NDJSON = "application/x-ndjson"
TIMEOUT_S = 300.0
"""Seconds after which a stream is cut off, however slowly it is read."""


class LineStream(Stream):
    """Sends lines as they come, and is cut off in the middle where that takes too long.

    One that was cut off, or failed, lacks the end of its last chunk, by which a client knows it from a complete one.
    """

    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        super().__init__(lines, media_type=NDJSON)
        self._lines = lines

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **_: Any) -> ASGIResponse:
        """Return what sends the lines."""
        return cast("ASGIResponse", _Lines(self._lines))


class _Lines:
    """An ASGI application that sends lines until they end, its client goes away, or its time is over.

    Litestar's own waits for the client to go away even when all is sent, which a kept connection may do much later.
    """

    __slots__ = ("_lines",)

    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending, leaving = asyncio.ensure_future(self._send(scope, send)), asyncio.ensure_future(_disconnect(receive))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, scope: Scope, send: Send) -> None:
        headers, body = [(b"content-type", NDJSON.encode()), VARY], self._lines
        if wants_gzip(scope["headers"]):
            headers.append(ENCODED)
            body = compressed_parts(body)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(body) as lines:
            async for line in lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
