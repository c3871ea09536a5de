"""Fleets that a test migrates: revisions behind the first one, and what is asked of tenants before and after."""

from typing import Any

from leasehold.cli.fleet_run import fleet_run
from leasehold.config import PROJECT_ROOT, Settings
from leasehold.core.models import TenantModel
from leasehold.tenancy.connections import Connections
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.plan import RunOptions
from leasehold.tenancy.fleet.run import RunSummary
from leasehold.tenancy.owner import Owner
from leasehold.tenancy.provision import Provisioner
from tests.factories import OPERATOR, new_slug

HEAD = TenantHistory.load(PROJECT_ROOT / "migrations").revisions[-1]
"""Where the tenant history of the repository ends."""

ADD_COLUMN = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.add_column("items", sa.Column("colour", sa.Text(), nullable=False, server_default="50% grey"))
    op.create_table("tags", sa.Column("id", sa.Uuid(), primary_key=True))


def downgrade() -> None:
    op.drop_table("tags")
    op.drop_column("items", "colour")
"""
ADD_INDEX = """
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_items_colour", "items", ["colour"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("ix_items_colour")
"""
CONTRACT = """
from alembic import op

revision, down_revision = "0003", "0002"
served_by = "0002"


def upgrade() -> None:
    op.drop_column("items", "description")
"""
LIVE = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"
live = True
on_empty = "skip"


def upgrade() -> None:
    connection = op.get_bind()
    items = connection.scalar(sa.text("SELECT count(*) FROM items"))
    op.execute(f"UPDATE items SET colour = 'one of {items}'")


def downgrade() -> None:
    op.get_bind().execute(sa.text("UPDATE items SET colour = ''"))
"""
FROZEN = """
import uuid

from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.execute(f"INSERT INTO tags (id) VALUES ('{uuid.uuid4()}')")
"""


def add(settings: Settings, name: str, revision: str) -> None:
    (settings.migrations_dir / "tenant" / "versions" / f"{name}.py").write_text(revision)


async def run(settings: Settings, **options: Any) -> RunSummary:
    return await fleet_run(settings, RunOptions(**{"jobs": 2, **options})).run()


def unseeded(settings: Settings) -> Provisioner:
    """Return what makes tenants without their first rows, for which a history of a test has no tables."""
    return Provisioner(
        owner=Owner(settings.owner_url.get_secret_value() if settings.owner_url else None),
        app=Connections(settings.database_url.get_secret_value(), size=1),
        history=TenantHistory.load(settings.migrations_dir),
        metadata=TenantModel.metadata,
        seeds=[],
        record=None,
        tenant_roles=True,
    )


async def provision(settings: Settings, count: int) -> list[TenantRef]:
    provisioner = unseeded(settings)
    made = [await provisioner.provision(slug=new_slug(), name="x", by=OPERATOR) for _ in range(count)]
    await provisioner.owner.close()
    return made


async def revisions(owner: Any, tenants: list[TenantRef]) -> list[str]:
    """Return the revision of each tenant, after seeing that registry and schema agree."""
    found: list[str] = []
    for tenant in tenants:
        own = await owner.fetchval(f'SELECT version_num FROM "{tenant.schema}".alembic_version')
        registered = await owner.fetchval("SELECT revision FROM platform.tenants WHERE id = $1", tenant.id)
        assert own == registered
        found.append(own)
    return found


def behind_head(revision: str) -> str:
    """Return the text of a revision that was written to follow 0001, as one of those that follow the real head."""
    return revision.replace('"0003"', '"9003"').replace('"0002"', '"9002"').replace('"0001"', f'"{HEAD}"')
