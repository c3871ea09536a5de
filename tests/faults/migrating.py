"""A fleet to be migrated by `leasehold migrate all` while faults are done to it, and what must be so at any moment.

Its history has everything that a run may be in the midst of: transactions, indexes made and dropped concurrently, and a
live revision. What it writes to rows differs when it is written twice.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import asyncpg

from leasehold.cli.fleet_run import fleet_run
from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.models import TenantModel
from leasehold.tenancy.fleet.history import TenantHistory, open_scripts
from leasehold.tenancy.fleet.lease import LEASE_S
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.plan import RunOptions
from leasehold.tenancy.fleet.reference import describe_revision
from tests.conftest import installed, migrate
from tests.factories import new_slug
from tests.fleets import provision
from tests.integration.cli.shell import PROJECT

T = TypeVar("T")

HISTORY = {
    "0002": """
    op.add_column("items", sa.Column("colour", sa.Text(), nullable=False, server_default="grey"))
    op.create_table("tags", sa.Column("id", sa.Uuid(), primary_key=True))
    op.execute("UPDATE items SET title = title || '!'")
""",
    "0003": """
    with op.get_context().autocommit_block():
        op.create_index("ix_items_title", "items", ["title"], postgresql_concurrently=True)
        op.create_index("ix_items_colour", "items", ["colour"], postgresql_concurrently=True)
""",
    "0004": """
    for (id,) in op.get_bind().execute(sa.text("SELECT id FROM items")).all():
        op.get_bind().execute(sa.text("UPDATE items SET colour = colour || '+' WHERE id = :id"), {"id": id})
""",
    "0005": """
    with op.get_context().autocommit_block():
        op.drop_index("ix_items_colour", table_name="items", postgresql_concurrently=True)
        op.create_index("ix_items_both", "items", ["colour", "title"], postgresql_concurrently=True)
""",
    "0006": """
    op.add_column("tags", sa.Column("label", sa.Text()))
    op.create_index("ix_tags_label", "tags", ["label"])
    op.execute("UPDATE items SET title = title || '?'")
""",
}
FIRST, HEAD = "0001", "0006"
_DECLARED = {"0004": 'live = True\non_empty = "skip"\n'}
_LIMITS = Limits()
_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")
_WITH_LIMITS = """
import sys
from dataclasses import replace
from functools import partial
from leasehold.cli import main, migrate
usual = migrate.fleet_run
migrate.fleet_run = lambda *given, **options: replace(usual(*given, **options), lease_s={lease_s})
migrate.Limits = partial(migrate.Limits, idle_timeout_s={idle_timeout_s})
sys.argv[0] = "leasehold"
main()
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """An installation with its tenants, and a history that they have yet to go through."""

    settings: Settings
    shapes: dict[str, frozenset[str]]
    """What a schema looks like at each revision."""

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[Any]:
        """Lend a connection of the owner."""
        assert self.settings.owner_url is not None
        connection: Any = await asyncpg.connect(driver_url(self.settings.owner_url.get_secret_value()), timeout=10)
        try:
            yield connection
        finally:
            connection.terminate()

    @asynccontextmanager
    async def transaction(self, statement: str, *, isolation: str = "read_committed") -> AsyncGenerator[None]:
        """Hold a transaction open in which a statement was executed."""
        async with self.connected() as connection, connection.transaction(isolation=isolation):
            await connection.execute(statement)
            yield

    def locked(self, table: str) -> AbstractAsyncContextManager[None]:
        """Let nobody write to a table, nor change it, until the end of the block."""
        return self.transaction(f"LOCK TABLE {table} IN SHARE MODE")

    def observed(self, table: str) -> AbstractAsyncContextManager[None]:
        """Read a table in a long transaction, which indexes that are made or dropped CONCURRENTLY wait for."""
        return self.transaction(f"SELECT count(*) FROM {table}", isolation="repeatable_read")

    async def bring_to(self, revision: str, *, exclude: Sequence[str] = ()) -> None:
        """Bring the whole fleet to a revision, in peace."""
        summary = await fleet_run(self.settings, RunOptions(jobs=2, target=revision, exclude=tuple(exclude))).run()
        assert summary.outcome == "succeeded"

    async def add(self, revision: str, body: str, *, after: str) -> None:
        """Write one more revision of the tenants, and look what it makes of a schema."""
        add_revision(self.settings, revision, body, after=after)
        self.shapes.update(await _shapes(self.settings, revision))

    async def bring_reference_to_head(self) -> None:
        """Bring the reference schema to head and no tenant, so that the next run begins with these."""
        async with self.connected() as owner:
            slugs = [row["slug"] for row in await owner.fetch("SELECT slug FROM platform.tenants")]
        await self.bring_to("head", exclude=slugs)

    @asynccontextmanager
    async def migrating(
        self, *options: str, lease_s: float = LEASE_S, idle_timeout_s: float = _LIMITS.idle_timeout_s
    ) -> AsyncGenerator["Run"]:
        """Start `leasehold migrate all`; whatever of it is left at the end is killed."""
        code = _WITH_LIMITS.format(lease_s=lease_s, idle_timeout_s=idle_timeout_s)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                code,
                "migrate",
                "all",
                "--jobs=2",
                *options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self._environment,
                cwd=PROJECT,
            )
            try:
                yield Run(process, output, errors)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    async def migrated(self, *options: str) -> "Ended":
        """Run `leasehold migrate all` to its end."""
        async with self.migrating(*options) as run:
            return await run.end()

    @property
    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEASEHOLD_")}
        secrets = {f"LEASEHOLD_{name.upper()}": getattr(self.settings, name).get_secret_value() for name in _SECRETS}
        return {
            **inherited,
            **secrets,
            "LEASEHOLD_MIGRATIONS_DIR": str(self.settings.migrations_dir),
            "LEASEHOLD_BASE_DOMAIN": self.settings.base_domain,
            "LEASEHOLD_ISSUER": self.settings.issuer,
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def all_said(self) -> str:
        return self.output + self.errors

    def demand_words(self) -> None:
        """Demand that it told in words what had happened, and not by an accident of its own."""
        assert "Traceback" not in self.all_said, self.errors.strip().rpartition("\n\n")[2]

    @property
    def sentence(self) -> str:
        """The sentence with which it refused or gave up."""
        self.demand_words()
        assert self.status == 2, self.all_said
        last = self.errors.splitlines()[-1]
        assert last.startswith("leasehold: "), self.all_said
        return last.removeprefix("leasehold: ")


@dataclass(frozen=True, slots=True)
class Run:
    """`leasehold migrate all` under way."""

    process: asyncio.subprocess.Process
    output: IO[bytes]
    errors: IO[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        return self.process.returncode is not None

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Let it end at once, whatever it does; nothing if it has ended."""
        if not self.has_ended:
            self.process.kill()
        await self.process.wait()

    async def end(self, timeout_s: float = 240) -> Ended:
        """Wait for its end."""
        async with asyncio.timeout(timeout_s):
            status = await self.process.wait()
        for file in (self.output, self.errors):
            file.seek(0)
        return Ended(status, self.output.read().decode(), self.errors.read().decode())


@contextmanager
def installed_fleet(admin_url: str, folder: Path, *, tenants: int) -> Generator[Fleet]:
    """Make an installation with tenants at the first revision, each with two items, and the history that follows."""
    with installed(admin_url, f"leasehold_faults_{new_slug()[2:]}") as plain:
        settings = plain.model_copy(update={"migrations_dir": folder / "migrations"})
        shutil.copytree(plain.migrations_dir, settings.migrations_dir, ignore=shutil.ignore_patterns("__pycache__"))
        versions = settings.migrations_dir / "tenant" / "versions"
        for revision in versions.glob("*.py"):
            if not revision.name.startswith(FIRST):
                revision.unlink()
        migrate(settings)
        asyncio.run(_fill(settings, tenants))
        before = FIRST
        for revision, body in HISTORY.items():
            add_revision(settings, revision, body, after=before, declared=_DECLARED.get(revision, ""))
            before = revision
        _add_to_platform(settings)
        yield Fleet(settings, asyncio.run(_shapes(settings)))


def add_revision(settings: Settings, revision: str, body: str, *, after: str, declared: str = "") -> None:
    """Write one more revision of the tenants."""
    head = f'import sqlalchemy as sa\nfrom alembic import op\n\nrevision, down_revision = "{revision}", "{after}"\n'
    file = settings.migrations_dir / "tenant" / "versions" / f"{revision}.py"
    file.write_text(f"{head}{declared}\n\ndef upgrade() -> None:{body}")


def _add_to_platform(settings: Settings) -> None:
    head = open_scripts(settings.migrations_dir, "platform").get_current_head()
    body = 'op.add_column("tenants", sa.Column("remark", sa.Text()), schema="platform")'
    lines = ("import sqlalchemy as sa", "from alembic import op", "", f'revision, down_revision = "9999", "{head}"')
    file = settings.migrations_dir / "platform" / "versions" / "9999.py"
    file.write_text("\n".join([*lines, "", "", "def upgrade() -> None:", f"    {body}", ""]))


async def _fill(settings: Settings, count: int) -> None:
    tenants = await provision(settings, count)
    assert settings.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    for tenant in tenants:
        await connection.execute(
            f'INSERT INTO "{tenant.schema}".items (id, title, created_at, updated_at)'
            " SELECT gen_random_uuid(), 'Desk', now(), now() FROM generate_series(1, 2)"
        )
    await connection.close()


async def _shapes(settings: Settings, *revisions: str) -> dict[str, frozenset[str]]:
    history = TenantHistory.load(settings.migrations_dir)
    assert settings.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    shapes = {
        revision: frozenset(await describe_revision(connection, history, revision, TenantModel.metadata))
        for revision in revisions or history.revisions
    }
    await connection.close()
    return shapes
