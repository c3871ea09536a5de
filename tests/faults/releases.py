"""Two releases of the product, one deploy apart: the checkout as it is, and a copy of it whose items have other fields.

The new one adds `colour` (an expansion, which it needs), then an index (neutral: it works without), and at the end
drops `description` (a contraction), which it neither reads nor writes; the old one does both.
"""

import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from leasehold.config import Settings
from leasehold.main import build_process
from leasehold.main import running as in_process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.history import TenantHistory
from tests.factories import OPERATOR, bearer, new_slug
from tests.integration.cli.shell import PROJECT, Environment, Finished, Running, free_port, leasehold, running

EXPAND, NEUTRAL, CONTRACT = "expand", "neutral", "contract"
# A slow migration, so that each tenant stands at each revision for a while. It holds no lock that a request wants.
_PAUSE = 'op.execute("DO $$ BEGIN PERFORM pg_sleep(0.05); END $$")'
_REVISIONS = {
    EXPAND: f"""

def upgrade() -> None:
    {_PAUSE}
    op.add_column("items", sa.Column("colour", sa.Text(), nullable=False, server_default="grey"))
""",
    NEUTRAL: """
is_needed = False


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_items_colour", "items", ["colour"], postgresql_concurrently=True)
""",
    CONTRACT: f"""
is_needed = False
served_by = "{EXPAND}"


def upgrade() -> None:
    {_PAUSE}
    op.drop_column("items", "description")
""",
}
_CHANGES = (
    ("models.py", '        CheckConstraint("char_length(description) <= 10000", name="description_length"),\n', "", 1),
    ("models.py", "    description: Mapped[str] = ", "    colour: Mapped[str] = ", 1),
    ("models.py", "searchable(Item.title, Item.description)", "searchable(Item.title, Item.colour)", 1),
    ("schemas.py", "    description: ", "    colour: ", 3),
)
_FIELD = {"old": "description", "new": "colour"}
_UNSAID = {"old": "", "new": "grey"}
_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")


@dataclass(frozen=True, slots=True)
class Tenant:
    ref: TenantRef
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered on behalf of a tenant; times are those of the monotonic clock."""

    release: str
    slug: str
    began: float
    ended: float
    status: int
    body: dict[str, Any]
    retry_after: str | None

    @property
    def is_served(self) -> bool:
        return self.status in {200, 201}

    @property
    def asks_to_come_back(self) -> bool:
        is_refusal = self.status == 503 and self.body["type"] == "/docs/problems/tenant-not-migrated"
        return is_refusal and self.retry_after is not None and int(self.retry_after) > 0

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.body.get("items", [self.body]) if self.is_served else []

    @property
    def wrong_rows(self) -> list[dict[str, Any]]:
        """The rows that are another tenant's, or do not say what was written."""
        return [row for row in self.rows if not is_right(row, self.slug, read_by=self.release)]


@dataclass(frozen=True, slots=True)
class Server:
    """`leasehold serve` of one release, and what is installed with it."""

    release: str
    address: str
    env: Environment
    process: Running

    async def ask(self, client: httpx.AsyncClient, tenant: Tenant, path: str, *, made: str | None = None) -> Answer:
        """Get what is there, or make an item that says by whom and for whom it was `made`."""
        method, body = ("GET", None) if made is None else ("POST", self._item(tenant, made))
        began = time.monotonic()
        response = await client.request(method, self.address + path, headers=tenant.headers, json=body)
        ended, retry_after = time.monotonic(), response.headers.get("retry-after")
        slug = tenant.ref.slug
        return Answer(self.release, slug, began, ended, response.status_code, response.json(), retry_after)

    def wait(self) -> None:
        """Wait until it is ready."""
        self.process.wait_for(partial(_is_ready, self.address))

    def migrate_all(self, *options: str) -> Finished:
        """Run `leasehold migrate all` of this release to its end."""
        return leasehold("migrate", "all", *options, env=self.env)

    def _item(self, tenant: Tenant, made: str) -> dict[str, str]:
        title, field = f"{tenant.ref.slug} {self.release} {made}", _FIELD[self.release]
        return {"title": title, field: f"{field} of {title}"}


def is_right(row: dict[str, Any], slug: str, *, read_by: str) -> bool:
    """Tell whether an item is the tenant's and says what was written, or the default where its writer knew no field."""
    field, title = _FIELD[read_by], row["title"]
    owner, made_by, _ = title.split()
    return owner == slug and row[field] == (f"{field} of {title}" if made_by == read_by else _UNSAID[read_by])


@dataclass(frozen=True, slots=True)
class Release:
    """A release as it is installed: its code and its migrations."""

    name: str
    env: Environment
    folder: Path

    @contextmanager
    def served(self, *, port: int | None = None, **changes: str) -> Generator[Server]:
        """Serve the installation by this release; `changes` are settings as the environment has them."""
        port = port or free_port()
        self.folder.mkdir(exist_ok=True)
        env = {**self.env, "LEASEHOLD_PORT": str(port)}
        env |= {f"LEASEHOLD_{name.upper()}": value for name, value in changes.items()}
        with running("serve", env=env, folder=self.folder) as process:
            yield Server(self.name, f"http://127.0.0.1:{port}", env, process)

    def migrate_all(self, *options: str) -> Finished:
        """Run `leasehold migrate all` of this release to its end."""
        return leasehold("migrate", "all", *options, env=self.env)


def two_releases(settings: Settings, folder: Path) -> tuple[Release, Release]:
    """Install the checkout, and the release that follows it."""
    source, migrations = folder / "src", folder / "migrations"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "src" / "leasehold", source / "leasehold", ignore=ignored)
    shutil.copytree(settings.migrations_dir, migrations, ignore=ignored)
    for file, before, after, times in _CHANGES:
        path = source / "leasehold" / "workspace" / "items" / file
        text = path.read_text()
        assert text.count(before) == times, f"{path} does not hold {before!r} {times} times"
        path.write_text(text.replace(before, after))
    behind = TenantHistory.load(settings.migrations_dir).head
    for revision, text in _REVISIONS.items():
        names = (
            f'import sqlalchemy as sa\nfrom alembic import op\n\nrevision, down_revision = "{revision}", "{behind}"\n'
        )
        (migrations / "tenant" / "versions" / f"{revision}.py").write_text(names + text)
        behind = revision
    old = _environment(settings, PROJECT / "src", settings.migrations_dir)
    new = _environment(settings, source, migrations)
    return Release("old", old, folder / "old"), Release("new", new, folder / "new")


@contextmanager
def old_and_new(settings: Settings, folder: Path) -> Generator[tuple[Server, Server]]:
    """Serve an installation by the checkout and by the release that follows it, until the end of the block."""
    old, new = two_releases(settings, folder)
    with old.served() as old_server, new.served() as new_server:
        for server in (old_server, new_server):
            server.wait()
        yield old_server, new_server


async def provision_by_old(settings: Settings, count: int) -> list[Tenant]:
    """Make tenants as the old release does, each with a client."""
    process = build_process(settings)
    async with in_process(process):
        refs = [await process.provisioner.provision(slug=new_slug(), name="x", by=OPERATOR) for _ in range(count)]
        return [Tenant(ref, await bearer(process, ref)) for ref in refs]


def _environment(settings: Settings, source: Path, migrations: Path) -> Environment:
    secrets = {f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value() for name in _SECRETS}
    return {
        **secrets,
        "LEASEHOLD_BASE_DOMAIN": settings.base_domain,
        "LEASEHOLD_ISSUER": settings.issuer,
        "LEASEHOLD_MIGRATIONS_DIR": str(migrations),
        "LEASEHOLD_LOG_LEVEL": "error",
        "PYTHONPATH": str(source),
    }


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready").status_code == 200
    except httpx.TransportError:
        return False
