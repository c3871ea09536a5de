"""Changes the wrapped secrets of tenants, which their own roles can only read: the owner does, many tenants at a time.

A value is written only if it still is what was read. So whoever is killed in the middle, or does the same beside
another, has done a part of it, and doing it again does the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from leasehold.core.database import DriverConnection
from leasehold.core.vault import InstallationKey, UnwrapFailed
from leasehold.tenancy.fleet.plan import UnknownTenantSlug
from leasehold.tenancy.install import connect
from leasehold.tenancy.names import literal, quoted
from leasehold.tenancy.signing import signing_key_purpose

_BATCH = 100
# Waits for a migration that changes the very table, and else for nobody.
_LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL search_path = pg_catalog, pg_temp"
# What is set aside for a tenant is wrapped for that tenant, whose it may be again.
_TENANTS = """
SELECT coalesce(r.tenant_id, t.id) AS id, t.slug, t.schema_name
  FROM platform.tenants t LEFT JOIN platform.tenant_restores r ON r.aside_id = t.id
 WHERE t.state NOT IN ('purging', 'purged') ORDER BY t.id
"""


@dataclass(frozen=True, slots=True)
class SecretColumn:
    """A column of a tenant's table whose values are wrapped by the installation key."""

    table: str
    column: str
    name: str
    """The column that says, with the tenant, for what a value is wrapped."""
    purpose: Callable[[UUID, str], str]
    """Takes the tenant's id and the value of that column."""


@dataclass(frozen=True, slots=True)
class PlatformSecretColumn:
    """A column of a shared table whose values, where there are any, are wrapped by the installation key."""

    table: str
    column: str
    name: str
    """The column that says for what a value is wrapped."""
    purpose: Callable[[UUID], str]
    """Takes the value of that column."""


SIGNING_KEYS = PlatformSecretColumn("signing_keys", "wrapped", "id", signing_key_purpose)


@dataclass(frozen=True, slots=True)
class OwnedTenant:
    """A tenant, as the owner knows it."""

    id: UUID
    """For which its secrets are wrapped."""
    slug: str
    schema: str


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """A wrapped value, and where it stands."""

    schema: str
    column: SecretColumn
    id: UUID
    name: str
    wrapped: bytes


@dataclass(slots=True)
class Rewrapping:
    """What was found and done to give all secrets to another installation key."""

    secrets: int = 0
    rewrapped: int = 0
    unreadable: frozenset[str] = frozenset()
    """Slugs of tenants with a secret that none of the known keys opens."""


Change = Callable[[OwnedTenant, list[FoundSecret]], list[str]]
"""Takes the secrets of a tenant and returns the SQL that changes them."""

Report = Callable[[int, int], object]
"""Is told after each batch how many tenants are done, and how many there are."""


async def owned_tenants(owner_url: str, *, slug: str | None = None) -> list[OwnedTenant]:
    """Return all tenants that have a schema, or the one with this slug.

    Raises:
        UnknownTenantSlug: there is none.
    """
    connection = await connect(owner_url)
    try:
        rows = await connection.fetch(_TENANTS)
    finally:
        await connection.close()
    found = [OwnedTenant(row["id"], row["slug"], row["schema_name"]) for row in rows]
    if slug is None:
        return found
    chosen = [tenant for tenant in found if tenant.slug == slug]
    if not chosen:
        raise UnknownTenantSlug(slug)
    return chosen


async def change_secrets(
    owner_url: str,
    tenants: Sequence[OwnedTenant],
    columns: Sequence[SecretColumn],
    change: Change,
    *,
    report: Report = lambda _done, _total: None,
) -> None:
    """Change secrets, a hundred tenants in one transaction."""
    for start in range(0, len(tenants), _BATCH):
        batch = tenants[start : start + _BATCH]
        # A connection for each batch: a backend never forgets a table that it has met.
        connection = await connect(owner_url)
        try:
            async with connection.transaction():
                await connection.execute(_LIMITS)
                found = await _secrets_of(connection, batch, columns)
                statements = [sql for tenant in batch for sql in change(tenant, found[tenant.schema])]
                if statements:
                    await connection.execute("; ".join(statements))
        finally:
            await connection.close()
        report(start + len(batch), len(tenants))


async def rewrap_all(
    owner_url: str,
    key: InstallationKey,
    columns: Sequence[SecretColumn],
    *,
    of_platform: Sequence[PlatformSecretColumn],
    report: Report,
) -> Rewrapping:
    """Wrap by the installation key itself whatever is still wrapped by one of the others that it knows.

    Raises:
        UnwrapFailed: none of them opens a secret of the platform.
        OSError, asyncpg.PostgresError: the database does not answer.
    """
    done = Rewrapping()
    unreadable: set[str] = set()
    for column in of_platform:
        await _rewrap_of_platform(owner_url, key, column, done)

    def change(tenant: OwnedTenant, secrets: list[FoundSecret]) -> list[str]:
        statements: list[str] = []
        for secret in secrets:
            done.secrets += 1
            try:
                purpose = secret.column.purpose(tenant.id, secret.name)
                wrapped = key.rewrap(secret.wrapped, purpose=purpose)
            except UnwrapFailed:
                unreadable.add(tenant.slug)
                continue
            if wrapped is not None:
                done.rewrapped += 1
                statements.append(_update_sql(secret, wrapped))
        return statements

    await change_secrets(owner_url, await owned_tenants(owner_url), columns, change, report=report)
    done.unreadable = frozenset(unreadable)
    return done


def insert_sql(tenant: OwnedTenant, column: SecretColumn, *, secret_id: UUID, name: str, wrapped: bytes) -> str:
    """Return the SQL that adds a secret, unless somebody else has just added one of this name."""
    return (
        f"INSERT INTO {quoted(tenant.schema)}.{quoted(column.table)} "
        f"(id, {quoted(column.name)}, {quoted(column.column)}) "
        f"VALUES ({literal(str(secret_id))}, {literal(name)}, {_bytes(wrapped)}) "
        f"ON CONFLICT ({quoted(column.name)}) DO NOTHING"
    )


async def _secrets_of(
    connection: DriverConnection, tenants: Sequence[OwnedTenant], columns: Sequence[SecretColumn]
) -> dict[str, list[FoundSecret]]:
    """Return the secrets of tenants by the tenants' schemas."""
    places = [(tenant, column) for tenant in tenants for column in columns]
    query = " UNION ALL ".join(_select(place, *where) for place, where in enumerate(places))
    found: dict[str, list[FoundSecret]] = {tenant.schema: [] for tenant in tenants}
    for row in await connection.fetch(query):
        place: int = row["place"]
        tenant, column = places[place]
        found[tenant.schema].append(FoundSecret(tenant.schema, column, row["id"], row["name"], row["wrapped"]))
    return found


async def _rewrap_of_platform(
    owner_url: str, key: InstallationKey, column: PlatformSecretColumn, done: Rewrapping
) -> None:
    table, wrapped_column, name = f"platform.{quoted(column.table)}", quoted(column.column), quoted(column.name)
    connection = await connect(owner_url)
    try:
        async with connection.transaction():
            rows = await connection.fetch(
                f"SELECT id, {name} AS name, {wrapped_column} AS wrapped FROM {table} "
                f"WHERE {wrapped_column} IS NOT NULL"
            )
            for row in rows:
                done.secrets += 1
                wrapped = key.rewrap(row["wrapped"], purpose=column.purpose(row["name"]))
                if wrapped is not None:
                    done.rewrapped += 1
                    await connection.execute(
                        f"UPDATE {table} SET {wrapped_column} = $2 WHERE id = $1 AND {wrapped_column} = $3",
                        row["id"],
                        wrapped,
                        row["wrapped"],
                    )
    finally:
        await connection.close()


def _select(place: int, tenant: OwnedTenant, column: SecretColumn) -> str:
    return (
        f"SELECT {place} AS place, id, {quoted(column.name)}::text AS name, {quoted(column.column)} AS wrapped "
        f"FROM {quoted(tenant.schema)}.{quoted(column.table)}"
    )


def _update_sql(secret: FoundSecret, wrapped: bytes) -> str:
    column = secret.column
    return (
        f"UPDATE {quoted(secret.schema)}.{quoted(column.table)} SET {quoted(column.column)} = {_bytes(wrapped)} "
        f"WHERE id = {literal(str(secret.id))} AND {quoted(column.column)} = {_bytes(secret.wrapped)}"
    )


def _bytes(value: bytes) -> str:
    return f"decode('{value.hex()}', 'hex')"
