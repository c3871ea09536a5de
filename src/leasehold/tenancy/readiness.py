"""Whether the database is one that this code can serve. It never loops over tenants."""

from sqlalchemy import Column, MetaData, Table, Text, select
from sqlalchemy.exc import ProgrammingError

from leasehold.core.database import Database, platform_session
from leasehold.core.errors import Unavailable
from leasehold.core.models import PLATFORM_SCHEMA
from leasehold.tenancy.names import VERSION_TABLE

_VERSION = Table(VERSION_TABLE, MetaData(), Column("version_num", Text), schema=PLATFORM_SCHEMA)


class PlatformNotMigrated(Unavailable):
    """The shared schema has not been made yet; run `leasehold migrate all`."""

    type = "platform-not-migrated"
    title = "Platform not migrated"


async def demand_ready(database: Database) -> None:
    """Pass if the database answers and the shared schema is there.

    Raises:
        DatabaseUnavailable: it does not answer.
        PlatformNotMigrated: it was never migrated.
    """
    async with platform_session(database) as session:
        try:
            revision = await session.scalar(select(_VERSION.c.version_num))
        except ProgrammingError as error:
            raise PlatformNotMigrated from error
    if revision is None:
        raise PlatformNotMigrated
