"""Receives lines of JSON into a file, before a connection to the database is taken.

However slowly a client sends, it holds no more than its own socket and what it has sent. One that goes away has done
nothing: the work begins when all has arrived.

What is short stays in memory. For the rest there is room for a few at once, and for fewer of one tenant, or whoever
sends many would fill the disk for all. A place on it is held until the work is done, or the client has taken too long.
"""

import errno
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from litestar import Request
from litestar.datastructures import State

from leasehold.core.places import Places
from leasehold.core.streaming import TIMEOUT_S
from leasehold.core.uploads import TAKES_LINES, Upload
from leasehold.http.arriving import arriving
from leasehold.http.marks import CLIENT_TIMEOUT_S
from leasehold.http.refusals import NoRoomForBody

AnyRequest = Request[Any, Any, State]

_STATE = "upload"
_IN_MEMORY_BYTES = 256 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def received(request: AnyRequest, places: Places, *, max_bytes: int) -> AbstractAsyncContextManager[Upload | None]:
    """Receive the body of a request whose route takes lines, and keep it to the end of the block; None for others.

    Raises:
        BodyTooLarge, BodyTooSlow, BodyCutOff: see `arriving`.
        TooManyAtOnce, DatabaseUnavailable: it is long, and no place on the disk became free; see `Line.wait`.
        NoRoomForBody: the disk is full.
    """
    return _received(request, places, max_bytes) if TAKES_LINES in request.route_handler.opt else nullcontext()


def upload_of(request: AnyRequest) -> Upload | None:
    """Return what was received of a request whose route takes lines; None for others."""
    return request.scope["state"].get(_STATE)


@asynccontextmanager
async def _received(request: AnyRequest, places: Places, max_bytes: int) -> AsyncGenerator[Upload]:
    part_s: float = request.route_handler.opt[CLIENT_TIMEOUT_S]
    parts = arriving(request.scope, request.receive, max_bytes=max_bytes, whole_s=TIMEOUT_S, part_s=part_s)
    place = places.taken(request.scope["state"]["tenant"].id)
    async with AsyncExitStack() as held:
        # Outside of the file, for what could not be written is tried once more when that is closed.
        with _telling_of_room(), SpooledTemporaryFile[bytes](_IN_MEMORY_BYTES) as file:
            digest = await _kept(parts, file, before_disk=lambda: held.enter_async_context(place))
            upload = request.scope["state"][_STATE] = Upload(file, digest)
            yield upload


async def _kept(parts: AsyncGenerator[bytes], file: IO[bytes], *, before_disk: Callable[[], Awaitable[None]]) -> bytes:
    """Write all parts into a file, which is at its beginning then, and return their SHA-256."""
    digest, size, is_in_memory = sha256(), 0, True
    async for part in parts:
        size += len(part)
        if is_in_memory and size > _IN_MEMORY_BYTES:
            await before_disk()
            is_in_memory = False
        file.write(part)
        digest.update(part)
    file.seek(0)
    return digest.digest()


@contextmanager
def _telling_of_room() -> Generator[None]:
    """Let whoever finds no room on a disk say so."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise NoRoomForBody from error
