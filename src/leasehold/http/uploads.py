"""Receives lines of JSON into a file, before a connection to the database is taken.

However slowly a client sends, it holds nothing but its own socket and what it has sent. One that goes away has done
nothing: the work begins when all has arrived.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import Any

from litestar import Request
from litestar.datastructures import State

from leasehold.core.streaming import TIMEOUT_S
from leasehold.core.uploads import TAKES_LINES, Upload, UploadCutOff, UploadTooSlow
from leasehold.http.refusals import BodyTooLarge

AnyRequest = Request[Any, Any, State]

_STATE = "upload"
_IN_MEMORY_BYTES = 256 * 1024


def received(request: AnyRequest, *, max_bytes: int) -> AbstractAsyncContextManager[Upload | None]:
    """Receive the body of a request whose route takes lines, and keep it to the end of the block; None for others.

    Raises:
        BodyTooLarge: it has more bytes than that.
        UploadTooSlow: it did not arrive in time.
        UploadCutOff: the client went away.
    """
    return _received(request, max_bytes) if TAKES_LINES in request.route_handler.opt else nullcontext()


def upload_of(request: AnyRequest) -> Upload | None:
    """Return what was received of a request whose route takes lines; None for others."""
    return request.scope["state"].get(_STATE)


@asynccontextmanager
async def _received(request: AnyRequest, max_bytes: int) -> AsyncGenerator[Upload]:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > max_bytes:
        raise BodyTooLarge
    digest, size = sha256(), 0
    with SpooledTemporaryFile[bytes](_IN_MEMORY_BYTES) as file:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                async for part in _parts(request):
                    size += len(part)
                    if size > max_bytes:
                        raise BodyTooLarge
                    file.write(part)
                    digest.update(part)
        except TimeoutError as error:
            raise UploadTooSlow from error
        file.seek(0)
        upload = Upload(file, digest.digest())
        request.scope["state"][_STATE] = upload
        yield upload


async def _parts(request: AnyRequest) -> AsyncGenerator[bytes]:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise UploadCutOff
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return
