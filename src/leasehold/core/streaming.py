"""Answers of any length: lines of JSON, and files. Only routes import this: it is said in Litestar's words."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, cast

from litestar import Litestar, Request
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from leasehold.core.compression import ENCODED, VARY, compressed_parts, wants_gzip

NDJSON = "application/x-ndjson"
LINE = "line"
"""The option of a route that answers so: the struct that each line is."""
ZIP = "application/zip"
TIMEOUT_S = 300.0
"""Seconds after which a stream of lines is cut off, however slowly it is read."""
FILE_TIMEOUT_S = 3600.0
"""The same for a file."""

_Headers = Sequence[tuple[bytes, bytes]]


class LineStream(Stream):
    """Sends lines as they come, and is cut off in the middle where that takes too long.

    One that was cut off, or failed, lacks the end of its last chunk, by which a client knows it from a complete one.
    """

    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        super().__init__(lines, media_type=NDJSON)
        self._lines = lines

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **_: Any) -> ASGIResponse:
        """Return what sends the lines."""
        headers = ((b"content-type", NDJSON.encode()), VARY)
        return cast("ASGIResponse", _Parts(self._lines, headers, timeout_s=TIMEOUT_S, can_be_compressed=True))


class FileStream(Stream):
    """Sends a file of a known size, part by part, for a browser to keep; nobody else keeps it.

    One that was cut off, or failed, is shorter than it said.
    """

    def __init__(self, parts: AsyncGenerator[bytes], *, size_bytes: int, filename: str, media_type: str) -> None:
        super().__init__(parts, media_type=media_type)
        self._parts = parts
        self._headers = (
            (b"content-type", media_type.encode()),
            (b"content-length", str(size_bytes).encode()),
            (b"content-disposition", f'attachment; filename="{filename}"'.encode()),
            (b"cache-control", b"no-store"),
        )

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **_: Any) -> ASGIResponse:
        """Return what sends the file."""
        return cast(
            "ASGIResponse", _Parts(self._parts, self._headers, timeout_s=FILE_TIMEOUT_S, can_be_compressed=False)
        )


class _Parts:
    """An ASGI application that sends parts until they end, its client goes away, or its time is over.

    Litestar's own waits for the client to go away even when all is sent, which a kept connection may do much later.
    """

    __slots__ = ("_can_be_compressed", "_headers", "_parts", "_timeout_s")

    def __init__(
        self, parts: AsyncGenerator[bytes], headers: _Headers, *, timeout_s: float, can_be_compressed: bool
    ) -> None:
        self._parts = parts
        self._headers = headers
        self._timeout_s = timeout_s
        self._can_be_compressed = can_be_compressed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending, leaving = asyncio.ensure_future(self._send(scope, send)), asyncio.ensure_future(_disconnect(receive))
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, scope: Scope, send: Send) -> None:
        headers, body = list(self._headers), self._parts
        if self._can_be_compressed and wants_gzip(scope["headers"]):
            headers.append(ENCODED)
            body = compressed_parts(body)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(body) as parts:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
