"""Tenants of a platform that was taken over, which wait for their schemas: what a run makes of them, and each alone."""

import asyncio
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from leasehold.cli.session import run_with
from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.platform.backups.objects import open_objects
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.restores.schemas import CameBack
from leasehold.platform.restores.whole import WholeService
from leasehold.process import Process
from leasehold.tenancy.archive.progress import SILENT
from leasehold.tenancy.context import TenantRef
from tests.archives import PASSPHRASE
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, item, new_slug
from tests.fleets import HEAD, add, run
from tests.integration.archives.conftest import as_owner
from tests.restores import backed_up

_PARTICULAR = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9002", "{HEAD}"
live = True
on_empty = "skip"


def upgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM items WHERE title = 'odd'")):
        raise LookupError("an odd item")
"""


async def lose(settings: Settings, tenants: Sequence[TenantRef]) -> None:
    """Leave of tenants what a platform has that was taken over on another server."""
    owner = await as_owner(settings)
    for tenant in tenants:
        await owner.execute(f'DROP SCHEMA "{tenant.schema}" CASCADE; DROP ROLE "{tenant.role}"')
        await owner.execute("UPDATE platform.tenants SET state = 'maintenance' WHERE id = $1", tenant.id)
    await owner.close()


async def brought_back(process: Process, store: Path) -> list[CameBack]:
    """Bring all back that wait, in the order in which the command does."""
    opened = BackupStore(open_objects(f"file://{store}"))
    whole = WholeService(partial(platform_session, process.database), opened, process.importer, passphrase=PASSPHRASE)
    homeless = await whole.homeless()
    return [await whole.bring_back(one, homeless[one], at=None, by=OPERATOR, progress=SILENT) for one in homeless]


def test_one_tenant_whose_revision_fails_keeps_no_other_from_coming_back(admin_url: str, tmp_path: Path) -> None:
    async def live_and_lose(process: Process) -> list[TenantRef]:
        made = [await process.provisioner.provision(slug=new_slug(), name="x", by=OPERATOR) for _ in range(3)]
        for tenant, title in zip(made, ("Desk", "odd", "Chair"), strict=True):
            await item(process, tenant, title)
            await backed_up(process, tenant, tmp_path)
        await lose(process.settings, made)
        return made

    with installed(admin_url, f"leasehold_whole_{new_slug()[2:]}") as settings:
        shutil.copytree(settings.migrations_dir, tmp_path / "migrations")
        newer = settings.model_copy(update={"migrations_dir": tmp_path / "migrations"})
        migrate(settings)
        made = asyncio.run(run_with(settings, live_and_lose))
        add(newer, "9002_particular", _PARTICULAR)
        summary = asyncio.run(run(newer))
        done = asyncio.run(run_with(newer, partial(brought_back, store=tmp_path)))

    assert (summary.outcome, summary.planned) == ("succeeded", 0)
    assert [(one.slug, one.reason) for one in done] == [
        (made[0].slug, None),
        (made[1].slug, "The live revision 9002 failed: LookupError: an odd item"),
        (made[2].slug, None),
    ]
