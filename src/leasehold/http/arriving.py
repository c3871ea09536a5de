"""Takes the body of a request from the server, part by part, and no longer than the client may keep it waiting."""

import asyncio
from collections.abc import AsyncGenerator

from litestar.types import Receive, Scope

from leasehold.http.refusals import BodyCutOff, BodyTooLarge, BodyTooSlow

LEAST_BYTES_PER_S = 16 * 1024
"""Who sends more slowly is not waited for as long as a body may take."""
_LONGEST_LENGTH = 19
"""Digits of what may be a length in bytes; a server has refused more."""


async def arriving(
    scope: Scope, receive: Receive, *, max_bytes: int, whole_s: float, part_s: float
) -> AsyncGenerator[bytes]:
    """Return the parts of a body as they arrive: each within `part_s` seconds, and all of it within `whole_s`.

    Each second beyond `part_s` must be earned by what has arrived: a place that is held for a body is not to be had for
    a byte now and then.

    Raises:
        BodyTooLarge: it has more bytes than `max_bytes`, or says so; the rest is left where it is.
        BodyTooSlow: it did not arrive in time.
        BodyCutOff: the client went away, or sent what is no part of a body.
    """
    if _announced_bytes(scope) > max_bytes:
        raise BodyTooLarge
    now = asyncio.get_running_loop().time
    began, size, has_more = now(), 0, True
    while has_more:
        ends = began + seconds_for(size, whole_s=whole_s, part_s=part_s)
        try:
            async with asyncio.timeout_at(min(ends, now() + part_s)):
                message = await receive()
        except TimeoutError as error:
            raise BodyTooSlow from error
        if message["type"] != "http.request":
            raise BodyCutOff
        part = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise BodyTooLarge
        has_more = message.get("more_body", False)
        yield part


def seconds_for(size: int, *, whole_s: float, part_s: float) -> float:
    """Return how long a body may have taken of which so many bytes have arrived."""
    return min(whole_s, part_s + size / LEAST_BYTES_PER_S)


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) <= _LONGEST_LENGTH else 0
    return 0
