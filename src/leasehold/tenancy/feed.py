"""Keeps the directory equal to the registry, and the signing keys too, over one connection of its own.

With LISTEN (which needs PostgreSQL itself: a pooler accepts it and never delivers) a notification wakes the reader
at once, and a heartbeat proves each second that the connection still lives. Without it the change log is polled.
Either way what is read is the log, so both forms see the same. A connection that was lost may have missed a
revocation: all remembered statuses are dropped and everything is read anew. The few signing keys need no log: each
look compares them as a whole.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.ending import ended
from leasehold.core.lively import LivelyConnection
from leasehold.core.slices import each
from leasehold.tenancy.context import Maintenance, TenantRef, TenantState
from leasehold.tenancy.directory import KnownSubjects, TenantDirectory
from leasehold.tenancy.registry import CHANNEL, TERMS_SQL, tenant_ref_of
from leasehold.tenancy.signing import KEYS_VERSION, SigningKeyWatch

APPLICATION_NAME = "leasehold-directory"
HEARTBEAT_S = 1.0
_ANSWER_TIMEOUT_S = 2.0
_CAUGHT_UP_TIMEOUT_S = 1.0
_RETRY_S = 0.2
# Some milliseconds. Fewer would be so many turns of others that a look at ten thousand would not be done in time.
_ROWS_AT_ONCE = 500

_TENANTS = f"""
SELECT t.id, t.slug, t.schema_name, t.role_name, t.state, t.revision, t.is_read_only, t.maintenance_ends_at,
       {TERMS_SQL},
       (SELECT r.served_by FROM platform.tenant_revisions r WHERE r.revision = t.revision) AS served_by,
       ARRAY(SELECT d.hostname FROM platform.tenant_domains d WHERE d.tenant_id = t.id) AS hostnames,
       ARRAY(SELECT f.slug FROM platform.former_slugs f WHERE f.tenant_id = t.id ORDER BY f.slug) AS former_slugs,
       ARRAY(SELECT EXTRACT(EPOCH FROM f.expires_at - now())::float FROM platform.former_slugs f
              WHERE f.tenant_id = t.id ORDER BY f.slug) AS former_slugs_left_s
  FROM platform.tenants t JOIN platform.plans p ON p.name = t.plan
 WHERE t.state IN ('active', 'suspended', 'maintenance')
"""
# What changed may be a plan: then it is all of its tenants. As an array, for it is found out once, before the tenants.
_CHANGED = f"""{_TENANTS}
   AND t.id = ANY($1 || ARRAY(SELECT c.id FROM platform.tenants c JOIN platform.plans q ON q.name = c.plan
                               WHERE q.id = ANY($1)))
"""
_HORIZON = f"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xact, {KEYS_VERSION} AS keys"
_CHANGES = "SELECT id, tenant_id, subject FROM platform.registry_changes WHERE xact >= $1"

_log = structlog.get_logger(__name__)


class DirectoryFeed:
    """Fills a directory at start and follows the registry until closed."""

    def __init__(
        self,
        directory: TenantDirectory,
        subjects: KnownSubjects,
        keys: SigningKeyWatch,
        *,
        url: str,
        listen: bool,
        poll_s: float,
    ) -> None:
        self._directory = directory
        self._subjects = subjects
        self._keys = keys
        self._url = driver_url(url)
        self._listen = listen
        self._interval_s = HEARTBEAT_S if listen else poll_s
        self._wake = asyncio.Event()
        self._horizon = 0
        self._seen: set[UUID] = set()
        self._waiters: list[asyncio.Event] = []
        self._task: asyncio.Task[None] | None = None
        self.losses = 0
        """How often the connection was lost."""
        self.is_listening = False
        """Whether news come by LISTEN at the moment."""

    async def start(self) -> None:
        """Read the whole registry once, then follow it in the background.

        Raises:
            OSError, asyncpg.PostgresError: the database does not answer.
            WrongInstallationKey: the signing keys were wrapped by another installation key.
        """
        connection = await self._connect()
        self._task = asyncio.create_task(self._follow(connection), name="directory-feed")

    async def close(self) -> None:
        """Stop following and close the connection."""
        if self._task:
            await ended(self._task)

    async def caught_up(self) -> None:
        """Return when what was committed before the call is in the directory, or after a second at the latest."""
        waiter = asyncio.Event()
        self._waiters.append(waiter)
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CAUGHT_UP_TIMEOUT_S):
                await waiter.wait()

    async def _follow(self, connection: DriverConnection) -> None:
        while True:
            try:
                while True:
                    # Not `wait_for`: on Python 3.11 it can lose a cancellation, and closing would wait for ever.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._interval_s):
                            await self._wake.wait()
                    self._wake.clear()
                    waiters = tuple(self._waiters)
                    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                        await self._catch_up(connection)
                    for waiter in waiters:
                        waiter.set()
                    # Only now: where the look fails, they wait for the next one. Who came meanwhile does, too.
                    del self._waiters[: len(waiters)]
            except Exception as error:  # noqa: BLE001  # whatever it is: a directory that nobody follows answers 503
                self.losses += 1
                _log.warning("directory_connection_lost", error=repr(error))
            finally:
                self.is_listening = False
                connection.terminate()
            self._subjects.forget_all()
            connection = await self._reconnect()
            self._wake.set()

    async def _reconnect(self) -> DriverConnection:
        told = ""
        while True:
            try:
                connection = await self._connect()
            except Exception as error:  # noqa: BLE001  # as above
                if repr(error) != told:
                    told = repr(error)
                    _log.warning("directory_not_read", error=told)
                await asyncio.sleep(_RETRY_S)
            else:
                _log.info("directory_reconnected", tenants=len(self._directory))
                return connection

    async def _connect(self) -> DriverConnection:
        connection = await asyncpg.connect(
            self._url,
            connection_class=LivelyConnection,
            timeout=5,
            command_timeout=30,
            statement_cache_size=0,
            server_settings={"application_name": APPLICATION_NAME},
        )
        try:
            if self._listen:
                await connection.add_listener(CHANNEL, self._on_news)
                connection.add_termination_listener(self._on_news)
            await self._load(connection)
        except BaseException:
            connection.terminate()
            raise
        self.is_listening = self._listen
        return connection

    def _on_news(self, *_: object) -> None:
        self._wake.set()

    async def _load(self, connection: DriverConnection) -> None:
        asked_at = time.monotonic()
        async with connection.transaction():
            # Taken first: what commits while the tenants are read is then read once more, never skipped.
            (horizon,) = await connection.fetch(_HORIZON)
            rows = await connection.fetch(_TENANTS)
            await self._keys.follow(connection, horizon["keys"])
        found = await known_tenants(rows, asked_at)
        self._horizon = horizon["xact"]
        self._seen = set()
        self._subjects.forget_all()
        self._directory.replace_all(found)
        self._directory.confirm(asked_at)

    async def _catch_up(self, connection: DriverConnection) -> None:
        asked_at = time.monotonic()
        # A transaction, for a pooler must not hand the two halves of a query to two servers.
        async with connection.transaction():
            (horizon,) = await connection.fetch(_HORIZON)
            rows = await connection.fetch(_CHANGES, self._horizon)
            await self._keys.follow(connection, horizon["keys"])
            changes = [row for row in rows if row["id"] not in self._seen]
            changed = {row["tenant_id"] for row in changes if row["subject"] is None}
            tenants = await connection.fetch(_CHANGED, list(changed)) if changed else []
        for row in changes:
            if row["subject"] is not None:
                self._subjects.forget(row["tenant_id"], row["subject"])
        found = await known_tenants(tenants, asked_at)
        # From here on in one step: in its middle, a domain that goes from one tenant to another would be nobody's.
        for tenant, hostnames, former_slugs in found:
            known = self._directory.by_id(tenant.id)
            if known is not None and known.schema != tenant.schema:
                self._subjects.forget_tenant(tenant.id)  # who was active is so no longer, or not yet
            self._directory.put(tenant, hostnames, former_slugs)
        for tenant_id in changed - {tenant.id for tenant, *_ in found}:
            self._directory.remove(tenant_id)
        self._seen = {row["id"] for row in rows}
        self._horizon = horizon["xact"]
        self._directory.confirm(asked_at)


async def known_tenants(
    rows: Sequence[asyncpg.Record], asked_at: float
) -> list[tuple[TenantRef, list[str], dict[str, float]]]:
    """Return what the directory holds of each tenant, and let others have their turn meanwhile.

    For reading a row takes longer than putting it into the directory, and a changed plan may be ten thousand of them.
    """
    return await each(partial(_known_tenant, asked_at=asked_at), rows, size=_ROWS_AT_ONCE)


def _known_tenant(row: asyncpg.Record, asked_at: float) -> tuple[TenantRef, list[str], dict[str, float]]:
    """Return what the directory holds of one tenant.

    How long a former slug is kept, PostgreSQL tells in seconds from a moment that is not before `asked_at`: clocks of
    several machines need not agree, and none sends anybody on for longer than the slug is kept.
    """
    tenant = tenant_ref_of(row)
    if tenant.state is TenantState.MAINTENANCE:
        tenant = replace(tenant, maintenance=Maintenance(row["is_read_only"], row["maintenance_ends_at"]))
    left = zip(row["former_slugs"], row["former_slugs_left_s"], strict=True)
    return tenant, row["hostnames"], {slug: asked_at + left_s for slug, left_s in left}
