"""Compresses large answers for clients that want it (RFC 9110, section 12.5.3), as gzip: everybody reads that.

A small answer gains little by it. One with an entity tag is sent as it is, for a strong tag stands for its very bytes.
"""

import re
import zlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

LARGE_BYTES = 8 * 1024
"""From this size on an answer is large. A page of twenty items is not, as a rule."""
VARY = (b"vary", b"accept-encoding")
ENCODED = (b"content-encoding", b"gzip")

_FASTEST = 1
_GZIP = 16 + zlib.MAX_WBITS
_WANTED = re.compile(r"(?:^|,)\s*(gzip|x-gzip|\*)\s*(?:;\s*q=([0-9.]+)\s*)?(?=,|$)", re.IGNORECASE)


def wants_gzip(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a client has said that it reads gzip. A weight of nought says that it does not."""
    for name, value in headers:
        if name == b"accept-encoding":
            weights = {found[1].lower(): found[2] for found in _WANTED.finditer(value.decode("latin-1"))}
            named = "gzip" if "gzip" in weights else "x-gzip" if "x-gzip" in weights else "*"
            return named in weights and not _is_nought(weights[named])
    return False


def compressed(body: bytes) -> bytes:
    """Return a body as gzip has it."""
    stream = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    return stream.compress(body) + stream.flush()


async def compressed_parts(parts: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the parts of a body as gzip has them, of which it keeps some thousand bytes back at a time."""
    stream = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    async with aclosing(parts):
        async for part in parts:
            if some := stream.compress(part):
                yield some
    yield stream.flush()


def _is_nought(weight: str | None) -> bool:
    return weight is not None and weight.strip("0.") == ""
