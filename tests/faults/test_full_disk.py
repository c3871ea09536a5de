"""A disk that is full, under the file of an archive or under the database: one sentence, and nothing has changed.

The disk is one of memory, which only root can mount.
"""

import os
import subprocess
import tempfile
from collections.abc import Generator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.errors import Problem
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.archive.refusals import NotWritable
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.workspace.exports.jobs import AskedExport, make_export
from leasehold.workspace.exports.service import ExportService
from tests.archives import exported, imported
from tests.factories import OPERATOR, new_slug, parts_of, provisioned

_TRACES = """
SELECT (SELECT count(*) FROM platform.tenants), (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'),
       (SELECT count(*) FROM platform.audit_events),
       (SELECT count(DISTINCT refobjid) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
           AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
"""The last are roles: of those of the server, which tests of other workers make, too, the ones with rights here."""
_ROWS = """
INSERT INTO "{schema}".items (id, title, description, created_at, updated_at)
SELECT gen_random_uuid(), 'x', (SELECT string_agg(md5(n::text || m), '') FROM generate_series(1, 60) m), now(), now()
  FROM generate_series(1, 2500) n
"""
_FULL = r"^The database has no room left; nothing was changed\.$"


@pytest.fixture(scope="module")
def disk() -> Generator[Path]:
    """A disk of two megabytes."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        mounting = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", name]
        if subprocess.run(mounting, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


@pytest.fixture
async def large(process: Process, owner: Any) -> TenantRef:
    """A tenant of some megabytes."""
    tenant = await provisioned(process)
    await owner.execute(_ROWS.format(schema=tenant.schema))
    return tenant


@pytest.fixture
def space(disk: Path, admin_url: str, settings: Settings) -> Generator[str]:
    """A tablespace on that disk."""
    name, place = f"small_{os.getpid()}", disk / "space"
    with psycopg.connect(driver_url(admin_url), autocommit=True) as admin:
        try:  # the server may be elsewhere
            ((backend,),) = admin.execute("SELECT pg_backend_pid()").fetchall()
            account = Path(f"/proc/{backend}").stat()
            place.mkdir()
            os.chown(place, account.st_uid, account.st_gid)
            admin.execute(f"CREATE TABLESPACE {name} LOCATION '{place}'")
        except (OSError, psycopg.Error) as error:
            pytest.skip(f"PostgreSQL cannot use this disk: {error}")
        admin.execute(f"GRANT CREATE ON TABLESPACE {name} TO lh_owner")
        try:
            yield name
        finally:
            admin.execute(f"DROP TABLESPACE {name}")
            place.rmdir()


@pytest.fixture
def homeless(space: str, admin_url: str, settings: Settings) -> Generator[None]:
    """While this lasts, what the owner makes comes to that disk."""
    database = settings.database_url.get_secret_value().rpartition("/")[2]
    place = f'ALTER ROLE lh_owner IN DATABASE "{database}"'
    with psycopg.connect(driver_url(admin_url), autocommit=True) as admin:
        admin.execute(f"{place} SET default_tablespace = {space}")
        try:
            yield
        finally:
            admin.execute(f"{place} RESET default_tablespace")


def files_of(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_an_archive_that_does_not_fit_on_the_disk_is_told_and_leaves_no_file(
    process: Process, owner: Any, large: TenantRef, disk: Path
) -> None:
    before = await owner.fetchrow(_TRACES)
    with pytest.raises(NotWritable, match=r"large.archive cannot be written: No space left on device\.$"):
        await exported(process, large.slug, disk / "large.archive")
    assert [path.name for path in files_of(disk)] == []
    assert await owner.fetchrow(_TRACES) == before


async def test_neither_an_import_nor_a_copy_that_the_database_has_no_room_for_changes_anything(
    process: Process, settings: Settings, owner: Any, large: TenantRef, homeless: None, tmp_path: Path
) -> None:
    async with parts_of(settings) as fresh:
        await exported(process, large.slug, tmp_path / "large.archive")
        before = await owner.fetchrow(_TRACES)
        with pytest.raises(Problem, match=_FULL):
            await imported(fresh, tmp_path / "large.archive", slug=new_slug())
        copying = {"tenant_id": new_id(), "slug": new_slug(), "name": "x", "is_scrubbed": False, "by": OPERATOR}
        with pytest.raises(Problem, match=_FULL):
            await fresh.cloner.clone(large.id, **copying)
        assert await owner.fetchrow(_TRACES) == before


async def test_an_export_for_which_the_database_has_no_room_waits_and_is_made_when_there_is(
    process: Process, owner: Any, large: TenantRef, space: str
) -> None:
    async with open_tenant_session(process.database, large) as session:
        export_id = (await ExportService(session, kept=timedelta(days=1)).request(by=OPERATOR)).id
    chunks, exports = f'"{large.schema}".export_chunks', f'"{large.schema}".tenant_exports'
    open_session = partial(open_tenant_session, process.database, large)

    async def attempt(number: int) -> tuple[str, int]:
        job = ClaimedJob(new_id(), new_id(), large.id, large.id, "exports.make", b"", number, 8, 0, None, 0.0)
        try:
            await make_export.function(AskedExport(export_id), open_session=open_session, job=job)
        except Problem as problem:
            said = str(problem)
        else:
            said = await owner.fetchval(f"SELECT state FROM {exports} WHERE id = $1", export_id)
        return said, await owner.fetchval(f"SELECT count(*) FROM {chunks}")

    await owner.execute(f"ALTER TABLE {chunks} SET TABLESPACE {space}")
    assert await attempt(1) == ("The database has no room left; nothing was changed.", 0)
    assert await attempt(3) == ("The database has no room left; nothing was changed.", 0)
    assert await owner.fetchval(f"SELECT state FROM {exports} WHERE id = $1", export_id) == "waiting"
    await owner.execute(f"ALTER TABLE {chunks} SET TABLESPACE pg_default")
    said, kept = await attempt(3)
    assert said == "ready"
    assert kept > 2
