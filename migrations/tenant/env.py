"""Runs the tenant history on the reference schema, or with `-x tenant=SLUG` on one tenant through the fleet's engine."""

import asyncio

import asyncpg
from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, text

from leasehold.cli.failures import as_command_error
from leasehold.cli.installation import installation, owner_url_of
from leasehold.config import Settings
from leasehold.core.actor import Actor
from leasehold.core.database import driver_url, open_engine
from leasehold.core.models import TenantModel
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.plan import RunOptions, tenant_schema
from leasehold.tenancy.fleet.reference import close_reference, open_reference, schema_revision
from leasehold.tenancy.fleet.run import FleetRun
from leasehold.tenancy.names import VERSION_TABLE, quoted
from leasehold.workspace.features import V1_ROUTES

assert V1_ROUTES, "importing them registers the tables"


def run(connection: Connection, schema: str) -> None:
    """Run the command with one schema as the default one."""
    connection.execute(text(f"SET search_path = {quoted(schema)}, pg_temp"))
    connection.commit()
    connection.dialect.default_schema_name = schema
    context.configure(
        connection=connection,
        target_metadata=TenantModel.metadata,
        transaction_per_migration=True,
        compare_server_default=True,
        include_name=lambda name, kind, _parents: not (kind == "table" and name == VERSION_TABLE),
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_on_reference(settings: Settings) -> None:
    """Run on the reference schema, then bring its rights and its fingerprint up to date."""
    url = owner_url_of(settings)
    owner = await asyncpg.connect(driver_url(url))
    try:
        reference = await open_reference(owner)
        await run_on_schema(url, reference.schema)
        if await schema_revision(owner, reference.schema) is not None:
            await close_reference(owner, TenantHistory.load(settings.migrations_dir), TenantModel.metadata)
    finally:
        await owner.close()


async def run_on_schema(url: str, schema: str) -> None:
    """Run on one schema by Alembic itself."""
    engine = open_engine(url, pool_size=None)
    async with engine.connect() as connection:
        await connection.run_sync(run, schema)
    await engine.dispose()


async def run_on_tenant(settings: Settings, slug: str) -> None:
    """Upgrade or downgrade one tenant through the engine; commands that change nothing just read its schema."""
    url = owner_url_of(settings)
    target = _destination()
    if target is None:
        await run_on_schema(url, await tenant_schema(url, slug))
        return
    # Alembic does not say which way it goes, so both are tried. Who names one tenant knows what they do.
    for direction in ("upgrade", "downgrade"):
        fleet = FleetRun(
            owner_url=url,
            by=Actor.operator("alembic"),
            history=TenantHistory.load(settings.migrations_dir),
            metadata=TenantModel.metadata,
            tenant_roles=settings.tenant_roles,
            options=RunOptions(direction, target=target, only=(slug,), allow_destructive=True),
        )
        for result in (await fleet.run()).results:
            if result.error is not None:
                raise CommandError(f"{slug}: {result.error}")
            print(f"{slug}: {result.start} -> {result.target}")
            return


def _destination() -> str | None:
    try:
        revision = context.get_revision_argument()
    except KeyError:
        return None
    return revision if isinstance(revision, str) else None


slug = context.get_x_argument(as_dictionary=True).get("tenant")
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=TenantModel.metadata)
    with context.begin_transaction():
        context.run_migrations()
else:
    with as_command_error(), installation(context.config.attributes.get("settings")) as settings:
        asyncio.run(run_on_tenant(settings, slug) if slug else run_on_reference(settings))
