"""Runs the history of the shared schema, on the owner's connection to PostgreSQL itself."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text

from leasehold.cli.failures import as_command_error
from leasehold.cli.installation import installation, owner_url_of
from leasehold.config import Settings
from leasehold.core.database import open_engine
from leasehold.core.models import PLATFORM_SCHEMA, PlatformModel
from leasehold.platform.features import MODELS
from leasehold.tenancy.names import APP_ROLE, VERSION_TABLE
from leasehold.tenancy.rights import HELD_RIGHTS, rights_sql

assert MODELS, "importing the features registers their tables"


def of_the_platform(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
    """Leave every other schema, and Alembic's own table, out of the comparison."""
    if kind == "schema":
        return name == PLATFORM_SCHEMA
    return not (kind == "table" and name == VERSION_TABLE)


def run(connection: Connection) -> None:
    """Run the command, then give the app the rights that the models declare, in the same transaction."""
    connection.execute(text("SET search_path = pg_catalog, pg_temp"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=PlatformModel.metadata,
        version_table_schema=PLATFORM_SCHEMA,
        include_schemas=True,
        include_name=of_the_platform,
        compare_server_default=True,
    )
    with context.begin_transaction():
        # What waits for a lock on the registry makes every process wait behind it: shortly, and then once more.
        connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        # Two first deploys at once: the second waits here, and then finds everything done.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('leasehold platform migration'))"))
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {PLATFORM_SCHEMA}"))
        context.run_migrations()
        held = connection.exec_driver_sql(HELD_RIGHTS, (PLATFORM_SCHEMA, APP_ROLE)).mappings().all()
        for statement in rights_sql(PlatformModel.metadata, held, schema=PLATFORM_SCHEMA, role=APP_ROLE):
            connection.execute(text(statement))


async def run_online(settings: Settings) -> None:
    """Open the owner's connection and run."""
    name = context.config.attributes.get("application_name")
    engine = open_engine(owner_url_of(settings), pool_size=None, application_name=name)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql", target_metadata=PlatformModel.metadata, version_table_schema=PLATFORM_SCHEMA
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    with as_command_error(), installation(context.config.attributes.get("settings")) as settings:
        asyncio.run(run_online(settings))
