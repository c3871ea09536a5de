"""Makes a database ready for Leasehold: its two logins, the group of tenant roles, and what PUBLIC may not do.

It runs once, as an administrator who may create roles and databases; that is what managed PostgreSQL gives, and no
superuser is needed. Running it again changes nothing.
"""

import asyncio
from contextlib import suppress
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from leasehold.config import DATABASE_URL
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.lively import LivelyConnection
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE, TENANT_GROUP, literal, quoted

MIN_MAJOR = 16
_ATTEMPTS = 8
_PAUSE_S = 0.2
_ATTRIBUTES = {OWNER_ROLE: "LOGIN CREATEROLE", APP_ROLE: "LOGIN", TENANT_GROUP: "NOLOGIN"}


class InvalidDatabaseUrl(ValueError):
    """The database URL is not valid; it looks like postgresql://user:password@host:5432/database."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class ServerTooOld(RuntimeError):
    """Leasehold needs PostgreSQL 16 or newer: older ones cannot grant a role without its inheritance."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class MayNotCreateRoles(RuntimeError):
    """The login of this URL may not create roles; `leasehold db init` needs one with CREATEROLE and CREATEDB."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def with_login(url: str, *, user: str, password: str, database: str) -> str:
    """Return the URL of the same server for another login and database."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{address}"
    return urlunsplit((parts.scheme, netloc, f"/{quote(database, safe='')}", parts.query, ""))


async def install(
    admin_url: str, *, database: str, owner_password: str, app_password: str, keep_passwords: bool
) -> frozenset[str]:
    """Create the logins and the database, as far as they are missing; return the logins that got their password.

    Raises:
        InvalidDatabaseUrl: the URL is none.
        ServerTooOld: the server is older than PostgreSQL 16.
        MayNotCreateRoles: the administrator may not create roles.
        OSError, asyncpg.PostgresError: the server cannot be reached, or refused.
    """
    admin = await connect(admin_url)
    try:
        if admin.get_server_version().major < MIN_MAJOR:
            raise ServerTooOld
        if not await may_create_roles(admin):
            raise MayNotCreateRoles
        passwords = {OWNER_ROLE: owner_password, APP_ROLE: app_password}
        changed = await _make_roles(admin, passwords, keep_passwords=keep_passwords)
        await _make_database(admin, database)
    finally:
        await admin.close()
    await _close_doors(admin_url, database)
    return changed


async def connect(url: str) -> DriverConnection:
    """Open a connection that is used once.

    Raises:
        InvalidDatabaseUrl: the URL is none.
        OSError, asyncpg.PostgresError: the server cannot be reached, or refused.
    """
    if not DATABASE_URL.match(url):
        raise InvalidDatabaseUrl
    try:
        return await asyncpg.connect(driver_url(url), connection_class=LivelyConnection, timeout=10)
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        raise InvalidDatabaseUrl from error


async def may_create_roles(connection: DriverConnection) -> bool:
    """Tell whether the login of a connection is an administrator, rather than one that `install` made."""
    return await connection.fetchval(
        "SELECT rolsuper OR (rolcreaterole AND rolcreatedb) FROM pg_catalog.pg_roles WHERE rolname = current_user"
    )


async def _make_roles(admin: DriverConnection, passwords: dict[str, str], *, keep_passwords: bool) -> frozenset[str]:
    """Create the missing roles, again if another installer was at the same rows of the server."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.InternalServerError):
            return await _make_roles_once(admin, passwords, keep_passwords=keep_passwords)
        await asyncio.sleep(_PAUSE_S)
    return await _make_roles_once(admin, passwords, keep_passwords=keep_passwords)


async def _make_roles_once(
    admin: DriverConnection, passwords: dict[str, str], *, keep_passwords: bool
) -> frozenset[str]:
    changed: set[str] = set()
    async with admin.transaction():
        rows = await admin.fetch("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY($1)", list(_ATTRIBUTES))
        existing = {row["rolname"] for row in rows}
        for role, attributes in _ATTRIBUTES.items():
            if role not in existing:
                await admin.execute(f"CREATE ROLE {quoted(role)} WITH {attributes}")
            if role in passwords and not (keep_passwords and role in existing):
                await admin.execute(f"ALTER ROLE {quoted(role)} PASSWORD {literal(passwords[role])}")
                changed.add(role)
        await admin.execute(f"GRANT {TENANT_GROUP} TO {OWNER_ROLE} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
        # An administrator who is no superuser must be able to become the owner to give it a database.
        if not await admin.fetchval("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"):
            await admin.execute(f"GRANT {OWNER_ROLE} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE")
    return frozenset(changed)


async def _make_database(admin: DriverConnection, database: str) -> None:
    owner = await admin.fetchval(
        "SELECT pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = $1", database
    )
    if owner is None:
        await admin.execute(f"CREATE DATABASE {quoted(database)} OWNER {OWNER_ROLE}")
    elif owner != OWNER_ROLE:
        await admin.execute(f"ALTER DATABASE {quoted(database)} OWNER TO {OWNER_ROLE}")
    # The login's own path holds no table: what escapes the binding finds nothing instead of some tenant's data.
    await admin.execute(f"ALTER ROLE {APP_ROLE} IN DATABASE {quoted(database)} SET search_path = pg_catalog, pg_temp")


async def _close_doors(admin_url: str, database: str) -> None:
    parts = urlsplit(driver_url(admin_url))
    admin = await connect(urlunsplit(parts._replace(path=f"/{quote(database, safe='')}")))
    try:
        await admin.execute(f"SET ROLE {OWNER_ROLE}")
        await admin.execute(f"REVOKE ALL ON DATABASE {quoted(database)} FROM PUBLIC")
        await admin.execute(f"GRANT CONNECT ON DATABASE {quoted(database)} TO {APP_ROLE}")
        await admin.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    finally:
        await admin.close()
