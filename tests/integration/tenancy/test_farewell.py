"""A backend that ends in the middle of a transaction: the client shall come back, whatever the driver calls it."""

import time
from typing import Any

import asyncpg
import psycopg
import pytest
from sqlalchemy import text

from leasehold.core.errors import DatabaseUnavailable
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef

pytestmark = pytest.mark.not_pooled("terminates the backend of one session")


@pytest.mark.parametrize("waits_s", [0.0, 0.2], ids=["unheard", "unread"])
async def test_a_backend_that_ends_within_a_transaction_is_503(
    process: Process, acme: TenantRef, owner: Any, admin_url: str, waits_s: float
) -> None:
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012  # the session ends within
        async with open_tenant_session(process.database, acme) as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            with psycopg.connect(admin_url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", [pid])
            time.sleep(waits_s)  # noqa: ASYNC251  # so that its farewell is there, and was read by nobody
            await session.execute(text("SELECT 1"))


async def test_what_the_driver_calls_a_fault_of_its_own_is_503(process: Process, acme: TenantRef) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with open_tenant_session(process.database, acme):
            raise asyncpg.InternalClientError("got result for unknown protocol state 3")
