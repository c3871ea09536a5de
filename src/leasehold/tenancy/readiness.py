"""Whether the database is one that this code can serve. It never loops over tenants."""

from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, Text, func, select
from sqlalchemy.exc import ProgrammingError

from leasehold.core.budget import ConnectionBudget
from leasehold.core.database import Database, platform_session
from leasehold.core.errors import Unavailable
from leasehold.core.models import PLATFORM_SCHEMA
from leasehold.tenancy.fleet.history import open_scripts
from leasehold.tenancy.names import VERSION_TABLE

_VERSION = Table(VERSION_TABLE, MetaData(), Column("version_num", Text), schema=PLATFORM_SCHEMA)


class PlatformNotMigrated(Unavailable):
    """The shared schema is older than this code; run `leasehold migrate all`."""

    type = "platform-not-migrated"
    title = "Platform not migrated"


def outdated_revisions(migrations_dir: Path) -> frozenset[str]:
    """Return the revisions of the shared schema that this code has left behind."""
    script = open_scripts(migrations_dir, "platform")
    return frozenset(revision.revision for revision in script.walk_revisions()) - {script.get_current_head()}


def platform_head(migrations_dir: Path) -> str:
    """Return the newest revision of the shared schema that this code knows."""
    return open_scripts(migrations_dir, "platform").get_current_head() or ""


class TooManyConnections(RuntimeError):
    """PostgreSQL grants {granted} connections, and {wanted} would be opened: lower LEASEHOLD_POOL_SIZE or
    LEASEHOLD_WORKERS, or raise max_connections.
    """

    def __init__(self, *, wanted: int, granted: int) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()).format(wanted=wanted, granted=granted))


async def demand_connections(database: Database, budget: ConnectionBudget) -> None:
    """Pass if PostgreSQL can open all connections of a budget at once. Not for a pooler, whose limit is its own.

    Raises:
        TooManyConnections: it cannot.
    """
    granted = func.current_setting("max_connections").cast(Integer) - func.current_setting(
        "superuser_reserved_connections"
    ).cast(Integer)
    async with platform_session(database) as session:
        limit = await session.scalar(select(granted)) or 0
    if budget.total > limit:
        raise TooManyConnections(wanted=budget.total, granted=limit)


async def demand_ready(database: Database, outdated: frozenset[str]) -> None:
    """Pass if the database answers and its shared schema is at the head of this code, or at one that is newer still.

    Raises:
        DatabaseUnavailable: it does not answer.
        PlatformNotMigrated: the shared schema is not there, or at one of the `outdated` revisions.
    """
    async with platform_session(database) as session:
        try:
            revision = await session.scalar(select(_VERSION.c.version_num))
        except ProgrammingError as error:
            raise PlatformNotMigrated from error
    if revision is None or revision in outdated:
        raise PlatformNotMigrated
