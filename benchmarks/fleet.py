"""A fleet to migrate: an installation whose tenants stand one revision behind, and the way back to there.

The names of a tenant's schema and role are made of its id, so SQL that is written for the id of zeros becomes SQL for
any tenant by one replacement.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from benchmarks.installation import Installation
from benchmarks.machine import cpu_seconds, family
from leasehold.config import Settings
from leasehold.tenancy.names import REFERENCE_SCHEMA, role_name, schema_name

NOBODY = UUID(int=0)
SCHEMA, ROLE = schema_name(NOBODY), role_name(NOBODY)
NEW = "bench"
_REVISION = """\
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{new}", "{base}"


def upgrade():
    op.add_column("items", sa.Column("bench_colour", sa.Text(), server_default="none", nullable=False))
    op.create_index("ix_items_bench_colour", "items", ["bench_colour"])
    op.create_table(
        "bench_labels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bench_labels"),
    )


def downgrade():
    op.drop_table("bench_labels")
    op.drop_column("items", "bench_colour")
"""
_BACK = """\
BEGIN;
SET LOCAL search_path = {schema}, pg_temp;
DROP TABLE IF EXISTS bench_labels;
ALTER TABLE items DROP COLUMN IF EXISTS bench_colour;
UPDATE alembic_version SET version_num = '{base}';
UPDATE platform.tenants SET revision = '{base}' WHERE id = '{id}';
COMMIT"""
_FORGET = f"DELETE FROM platform.tenant_revisions WHERE revision = '{NEW}'"
# What autovacuum, which is off, would do to what so much DDL leaves behind.
_TIDY = """
VACUUM (ANALYZE) pg_class, pg_attribute, pg_attrdef, pg_constraint, pg_depend, pg_index, pg_namespace, pg_type,
                 platform.tenants, platform.registry_changes, platform.fleet_results
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """An installation with a copy of the migrations, to which a revision can be added."""

    installed: Installation
    settings: Settings
    base: str
    """The revision at which the tenants stand before anything is measured."""
    jobs: int

    @property
    def owner_url(self) -> str:
        """The owner's URL for the driver."""
        return self.installed.owner_url

    def add_revision(self) -> None:
        """Write the revision that is measured behind the others."""
        versions = self.settings.migrations_dir / "tenant" / "versions"
        (versions / f"{NEW}.py").write_text(_REVISION.format(new=NEW, base=self.base))

    async def take_back(self, tenants: Iterable[UUID]) -> None:
        """Bring tenants and the reference back to the base, and tidy up."""
        back = _BACK.format(schema=SCHEMA, id=NOBODY.hex, base=self.base)
        reference = _BACK.format(schema=REFERENCE_SCHEMA, id=NOBODY.hex, base=self.base)
        await self.execute([message] for message in [reference, _FORGET, *for_each(back, tenants)])
        await self.tidy()

    async def execute(self, transactions: Iterable[Sequence[str]]) -> None:
        """Send the messages that make each transaction, over as many connections as the engine takes."""
        remaining = iter(transactions)

        async def send() -> None:
            connection = await asyncpg.connect(self.owner_url)
            try:
                for messages in remaining:
                    for message in messages:
                        await connection.execute(message)
            finally:
                await connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(self.jobs):
                group.create_task(send())

    async def tidy(self) -> None:
        """Vacuum and analyse the catalogs: none of those who are measured shall find what another one left."""
        await self.fetch(_TIDY)

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Send one statement over a connection of its own."""
        connection = await asyncpg.connect(self.owner_url)
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()


@dataclass(frozen=True, slots=True)
class Measured:
    """Some tenants that were made or migrated: how long it took, and the CPU time of both sides, in seconds."""

    tenants: int
    seconds: float
    own_cpu: float
    postgres_cpu: float

    @property
    def per_second(self) -> float:
        """Tenants per second."""
        return self.tenants / self.seconds


async def measured(fleet: Fleet, tenants: int, work: Callable[[], Awaitable[float | None]]) -> Measured:
    """Do some work and measure it; what it returns are the seconds that count, where those are not all."""
    postmaster = fleet.installed.postmaster
    before = cpu_seconds([os.getpid()]), cpu_seconds(family(postmaster))
    started = time.perf_counter()
    counted = await work()
    seconds = time.perf_counter() - started
    own, postgres = cpu_seconds([os.getpid()]) - before[0], cpu_seconds(family(postmaster)) - before[1]
    return Measured(tenants, counted or seconds, own, postgres)


def for_each(script: str, tenants: Iterable[UUID]) -> Iterable[str]:
    """Yield a script that names the tenant of zeros, for each of these tenants."""
    return (script.replace(NOBODY.hex, tenant_id.hex) for tenant_id in tenants)
