"""Connections to PostgreSQL are probed by the kernel, whatever they are for."""

import socket
from typing import Any

import asyncpg
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.lively import LivelyConnection, probe
from leasehold.process import Process
from leasehold.tenancy.bind import driver_under, open_tenant_session
from leasehold.tenancy.context import TenantRef

_OPTIONS = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)


def probes_of(connection: Any) -> tuple[int, ...]:
    of_kernel = connection._transport.get_extra_info("socket")
    is_probed = of_kernel.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return (is_probed, *(of_kernel.getsockopt(socket.IPPROTO_TCP, option) for option in _OPTIONS))


async def test_readers_sessions_and_others_are_given_up_when_nothing_was_confirmed_for_eight_seconds(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    reader = await process.readers.acquire(acme.id)
    found = [probes_of(reader)]
    process.readers.release(reader)
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("SELECT 1"))
        found.append(probes_of(driver_under(session.sync_session)))
    async with process.owner.connection() as lent:
        found.append(probes_of(lent._con))
    plain = await asyncpg.connect(
        driver_url(settings.database_url.get_secret_value()), connection_class=LivelyConnection
    )
    found.append(probes_of(plain))
    await plain.close()
    assert found == [(1, 4, 1, 4, 8000)] * 4


def test_what_is_no_connection_by_tcp_is_left_alone() -> None:
    one, other = socket.socketpair()
    with one, other:
        probe(one)
        probe(None)
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
