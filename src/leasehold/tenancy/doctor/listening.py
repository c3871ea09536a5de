"""Whether what is announced on one connection is heard on the direct one, as the directory of every process needs."""

import asyncio
import secrets

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import DIRECT_SETTING, Site

UNHEARD = Kind(
    "listen-unheard",
    "problem",
    "What was announced through LEASEHOLD_DATABASE_URL was not heard at LEASEHOLD_DIRECT_URL within {seconds} seconds.",
    "Let LEASEHOLD_DIRECT_URL name the same database on PostgreSQL itself; a pooler accepts LISTEN and never delivers.",
)
_WAIT_S = 2


async def find(site: Site) -> list[Finding]:
    """Announce something to nobody else, and wait for it."""
    direct = site.connections.get(DIRECT_SETTING)
    if direct is None:
        return []
    channel, heard = f"leasehold_doctor_{secrets.token_hex(8)}", asyncio.Event()

    def note(*_: object) -> None:
        heard.set()

    await direct.add_listener(channel, note)
    try:
        await site.app.fetchval(f"SELECT pg_catalog.pg_notify('{channel}', '')")
        return [] if await _is_heard(heard) else [UNHEARD.found(seconds=_WAIT_S)]
    finally:
        await direct.remove_listener(channel, note)


async def _is_heard(heard: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(_WAIT_S):
            return await heard.wait()
    except TimeoutError:
        return False


CHECK = Check("listening", "Is what one process announces heard by the others?", (UNHEARD,), find, needs_platform=False)
