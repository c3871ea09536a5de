"""Receives lines of JSON into a file, before a connection to the database is taken.

However slowly a client sends, it holds nothing but its own socket and what it has sent. One that goes away has done
nothing: the work begins when all has arrived.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import Any

from litestar import Request
from litestar.datastructures import State

from leasehold.core.streaming import TIMEOUT_S
from leasehold.core.uploads import TAKES_LINES, Upload
from leasehold.http.arriving import arriving
from leasehold.http.marks import CLIENT_TIMEOUT_S

AnyRequest = Request[Any, Any, State]

_STATE = "upload"
_IN_MEMORY_BYTES = 256 * 1024


def received(request: AnyRequest, *, max_bytes: int) -> AbstractAsyncContextManager[Upload | None]:
    """Receive the body of a request whose route takes lines, and keep it to the end of the block; None for others.

    Raises:
        BodyTooLarge, BodyTooSlow, BodyCutOff: see `arriving`.
    """
    return _received(request, max_bytes) if TAKES_LINES in request.route_handler.opt else nullcontext()


def upload_of(request: AnyRequest) -> Upload | None:
    """Return what was received of a request whose route takes lines; None for others."""
    return request.scope["state"].get(_STATE)


@asynccontextmanager
async def _received(request: AnyRequest, max_bytes: int) -> AsyncGenerator[Upload]:
    digest = sha256()
    part_s: float = request.route_handler.opt[CLIENT_TIMEOUT_S]
    parts = arriving(request.scope, request.receive, max_bytes=max_bytes, whole_s=TIMEOUT_S, part_s=part_s)
    with SpooledTemporaryFile[bytes](_IN_MEMORY_BYTES) as file:
        async for part in parts:
            file.write(part)
            digest.update(part)
        file.seek(0)
        upload = Upload(file, digest.digest())
        request.scope["state"][_STATE] = upload
        yield upload
