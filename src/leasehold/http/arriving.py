"""Takes the body of a request from the server, part by part, and no longer than the client may keep it waiting."""

import asyncio
from collections.abc import AsyncGenerator

from litestar.types import Receive, Scope

from leasehold.http.refusals import BodyCutOff, BodyTooLarge, BodyTooSlow

_LONGEST_LENGTH = 19
"""Digits of what may be a length in bytes; a server has refused more."""


async def arriving(
    scope: Scope, receive: Receive, *, max_bytes: int, whole_s: float, part_s: float
) -> AsyncGenerator[bytes]:
    """Return the parts of a body as they arrive: all of it within `whole_s` seconds, and each within `part_s`.

    Raises:
        BodyTooLarge: it has more bytes than `max_bytes`, or says so; the rest is left where it is.
        BodyTooSlow: it did not arrive in time.
        BodyCutOff: the client went away, or sent what is no part of a body.
    """
    if _announced_bytes(scope) > max_bytes:
        raise BodyTooLarge
    now = asyncio.get_running_loop().time
    ends, size, has_more = now() + whole_s, 0, True
    while has_more:
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


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) <= _LONGEST_LENGTH else 0
    return 0
