"""What binds a transaction to a tenant, as SQL."""

from collections.abc import Awaitable, Callable

import asyncpg

from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.entitlements import STATEMENT_MS
from leasehold.tenancy.names import quoted

_MOST_MS = 2**31 - 1
"""PostgreSQL takes no more; a plan may say more."""
# Whatever two roles: the question alone takes the place of what the server process remembers of its login.
_FORGET_MEMBERSHIPS = "ROLLBACK; SELECT pg_catalog.pg_has_role('pg_monitor', 'pg_read_all_stats', 'SET')"


def binding_sql(tenant: TenantRef, *, tenant_roles: bool, statement_ms: int | None = None) -> str:
    """Return the statements that put a transaction on one tenant: its schema before pg_temp, and its role.

    With pg_temp named and last, a temporary table cannot shadow a tenant's table. With `statement_ms`, statements are
    ended after so many milliseconds, or after as many as the tenant's plan says; 0 is never.
    """
    path = f"SET LOCAL search_path = {quoted(tenant.schema)}, pg_temp"
    if tenant.is_read_only:
        path += "; SET LOCAL transaction_read_only = on"
    if statement_ms is not None:
        allowed_ms = min(tenant.entitlements.limits.get(STATEMENT_MS.name, statement_ms), _MOST_MS)
        path += f"; SET LOCAL statement_timeout = {allowed_ms}"
    return f"{path}; SET LOCAL ROLE {quoted(tenant.role)}" if tenant_roles else path


async def begin_bound(execute: Callable[[str], Awaitable[str]], begin: str, *, before: str = "") -> None:
    """Send the message that begins a bound transaction, behind what shall come `before` it.

    It is sent once more where the role is refused, for PostgreSQL may be wrong: a server process that reads the
    memberships of its login, and is told of a new one in the middle, remembers what it had read so far. From then on it
    refuses the roles of newer tenants, until something else is granted (seen on PostgreSQL 18, for one BEGIN in five
    while three connections grant as fast as they can).

    Raises:
        asyncpg.PostgresError: it failed; the connection is in a failed transaction.
    """
    try:
        await execute(before + begin)
    except asyncpg.InsufficientPrivilegeError:
        await execute(f"{_FORGET_MEMBERSHIPS}; {begin}")
