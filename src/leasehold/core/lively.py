"""Connections to PostgreSQL that notice when the other end is gone without a word.

A machine that loses its power, a network that is taken apart and a firewall that forgets a connection send no farewell.
By Linux's own patience a query then waits for a quarter of an hour, and a connection on which nothing was sent for two
hours; meanwhile it holds its place in the pool. How long a query may take is not limited by this: while it runs, the
kernel at the other end answers for it.

Nor is that kernel's word enough to wait for a farewell: it answers for a server, or a pooler, that stands still.
"""

import socket
from contextlib import suppress
from typing import Any

from leasehold.core.database import DriverConnection

PROBED_AFTER_S = 4
"""A connection on which nothing has come for so long is probed by the kernel, each second."""
FAREWELL_S = 2.0
"""So long a connection that is closed waits until the other end has noticed."""
PATIENCE_S = 8
"""After so many seconds in which nothing that was sent, a probe included, was confirmed it is given up."""


class LivelyConnection(DriverConnection):
    """A connection of the driver that is probed by the kernel, and closed in time."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: Any, *args: Any, **options: Any) -> None:
        super().__init__(protocol, transport, *args, **options)
        probe(transport.get_extra_info("socket"))

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as the driver has it
        """Close it, or break it off where the other end says nothing."""
        with suppress(TimeoutError):
            await super().close(timeout=FAREWELL_S if timeout is None else timeout)


def probe(connected: socket.socket | None) -> None:
    """Let the kernel probe a connection, as far as it is one by TCP and the system can."""
    if connected is None or connected.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", PROBED_AFTER_S),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", PATIENCE_S - PROBED_AFTER_S),
        ("TCP_USER_TIMEOUT", PATIENCE_S * 1000),
    ):
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
