"""The store of quotas in Valkey or Redis: a key for each window, and one script that takes from them.

A key expires at the moment at which its quota is whole, so nothing is ever tidied up. It is a digest: whose quota it is
cannot be told from it.

Lua has no integers, only fractions that are exact up to 2^53: in nanoseconds that is 104 days. So a moment is kept as
whole seconds and the nanoseconds over them, and reckoned with is only how far it lies ahead, which is less than the
longest window and a minute.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any

import msgspec
from valkey.asyncio.connection import ConnectionPool
from valkey.exceptions import NoPermissionError, NoScriptError, ValkeyError

from leasehold.core.quotas.limits import SECOND
from leasehold.core.quotas.shared import Answer, Asked, StoreAway, window_digests

# What it does is what platform.take_from_quotas does in PostgreSQL: a quota that lies more than a minute further ahead
# than it can was counted by a clock that has been set back since, and is whole.
_TAKE = b"""
local sizes, places, intervals, capacities = unpack(cmsgpack.unpack(ARGV[1]))
local seconds, rest = tonumber(ARGV[2]), tonumber(ARGV[3])
if not seconds then
    local time = redis.call('TIME')
    seconds, rest = tonumber(time[1]), tonumber(time[2]) * 1000
end
local ahead = {}
for place, key in ipairs(KEYS) do
    local kept = redis.call('GET', key)
    ahead[place] = 0
    if kept then
        local whole_in = (tonumber(string.sub(kept, 1, -10)) - seconds) * 1e9 + tonumber(string.sub(kept, -9)) - rest
        ahead[place] = math.max(whole_in, 0)
    end
end
local granted, answer, changed, first = {}, {}, {}, 1
for number, size in ipairs(sizes) do
    local has_room = true
    for slot = first, first + size - 1 do
        local place = places[slot]
        if ahead[place] > capacities[slot] + 60e9 then ahead[place] = 0 end
        ahead[place] = math.min(ahead[place], capacities[slot])
        has_room = has_room and ahead[place] + intervals[slot] <= capacities[slot]
    end
    for slot = first, first + size - 1 do
        local place = places[slot]
        if has_room then
            ahead[place] = ahead[place] + intervals[slot]
            changed[place] = true
        end
        answer[slot] = ahead[place]
    end
    granted[number] = has_room
    first = first + size
end
for place in pairs(changed) do
    local at = rest + ahead[place]
    local over = at % 1e9
    local kept = string.format('%d%09d', seconds + (at - over) / 1e9, over)
    redis.call('SET', KEYS[place], kept, 'PX', math.ceil(ahead[place] / 1e6))
end
return cmsgpack.pack({granted, answer})
"""
_TAKE_SHA = sha1(_TAKE, usedforsecurity=False).hexdigest()
_PREFIX = b"leasehold:quota:"
_decode = msgspec.msgpack.Decoder(tuple[list[bool], list[int]]).decode
_encode = msgspec.msgpack.Encoder().encode


class ValkeyQuotas:
    """Counts quotas in Valkey, over a connection of its own that is opened when it is needed.

    `installation` tells the quotas of installations apart that share a server.
    """

    def __init__(self, url: str, *, installation: str, timeout_s: float) -> None:
        pool: Any = ConnectionPool  # its library knows types in part
        # It would take the certificate of any host for that of this one, if an authority that is trusted has signed it.
        tls = {"ssl_check_hostname": True} if url.startswith(("valkeys:", "rediss:")) else {}
        self._pool: Any = pool.from_url(url, **tls)
        self._salt = f"{installation} "
        self._timeout_s = timeout_s
        self._connection: Any = None
        self._lock = asyncio.Lock()

    async def take(self, asked: Sequence[Asked], *, at_ns: int | None = None) -> Sequence[Answer]:
        """Take each request out of its quotas, in this order, in one script and by Valkey's clock.

        Raises:
            StoreAway: it cannot, or not in time.
        """
        places: dict[bytes, int] = {}
        slots = [
            places.setdefault(digest, len(places) + 1)
            for one in asked
            for digest in window_digests(one, salt=self._salt)
        ]
        rates = [rate for one in asked for rate in one.limits.rates]
        sizes = [len(one.limits.rates) for one in asked]
        batch = _encode((sizes, slots, [interval for interval, _ in rates], [capacity for _, capacity in rates]))
        keys = [_PREFIX + digest.hex().encode() for digest in places]
        arguments = (len(keys), *keys, batch, *(() if at_ns is None else divmod(at_ns, SECOND)))
        told = await self._call(lambda connection: _take(connection, arguments))
        try:
            granted, ahead = _decode(told)
        except msgspec.MsgspecError as error:
            raise StoreAway from error
        answers: list[Answer] = []
        start = 0
        for is_granted, size in zip(granted, sizes, strict=True):
            answers.append((is_granted, ahead[start : start + size]))
            start += size
        return answers

    async def forget_whole(self) -> None:
        """Do nothing: Valkey itself forgets a quota when it is whole."""

    async def facts(self) -> Mapping[str, str]:
        """Return what the server tells of itself (INFO), nothing where it may not be asked.

        Raises:
            StoreAway: it cannot be reached, or does not answer in time.
        """
        try:
            told = await self._call(_inform)
        except StoreAway as error:
            if isinstance(error.__cause__, NoPermissionError):
                return {}
            raise
        pairs = (line.partition(":") for line in told.decode(errors="replace").splitlines())
        return {name: value for name, colon, value in pairs if colon}

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _call(self, ask: Callable[[Any], Awaitable[bytes]]) -> bytes:
        try:
            # Around the lock too: who waits behind another call waits no longer than for one of its own.
            async with asyncio.timeout(self._timeout_s), self._lock:
                return await self._told(ask)
        except (ValkeyError, OSError) as error:
            raise StoreAway from error

    async def _told(self, ask: Callable[[Any], Awaitable[bytes]]) -> bytes:
        try:
            connection = self._connection
            if connection is None:
                connection = self._connection = self._pool.make_connection()
            await connection.connect()
            return await ask(connection)
        except BaseException:
            # It may be in the middle of an answer, which the next one to ask must not get.
            await self.close()
            raise


async def _take(connection: Any, arguments: Sequence[bytes | int]) -> bytes:
    try:
        await connection.send_command("EVALSHA", _TAKE_SHA, *arguments)
        return await connection.read_response()
    except NoScriptError:  # it has begun anew, and knows none
        await connection.send_command("EVAL", _TAKE, *arguments)
        return await connection.read_response()


async def _inform(connection: Any) -> bytes:
    await connection.send_command("INFO")
    return await connection.read_response()
