"""`leasehold restore`, `restores` and `backup drill`, as the operator runs them, on a folder of backups."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.context import TenantRef
from tests.archives import purged
from tests.factories import item, new_slug
from tests.processes import outlived
from tests.restores import aside_of, backed_up, command, rows_of, said_by

pytestmark = pytest.mark.not_pooled("a command opens connections of its own")

_CATALOG = """
SELECT (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_class), (SELECT count(*) FROM platform.tenants),
       (SELECT count(*) FROM platform.registry_changes), (SELECT count(*) FROM platform.audit_events),
       (SELECT count(*) FROM pg_shdepend
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
_ITEMS = 'SELECT title FROM "{}".items ORDER BY title'


async def _titles(owner: Any, slug: str) -> list[str]:
    schema = await owner.fetchval("SELECT schema_name FROM platform.tenants WHERE slug = $1", slug)
    return [row[0] for row in await owner.fetch(_ITEMS.format(schema))]


async def test_a_tenant_is_put_back_to_the_newest_backup_of_a_time_and_that_is_undone_and_confirmed(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await item(process, acme, "first")
    with ArchiveFile(await backed_up(process, acme, tmp_path)) as first:
        at = first.manifest.made_at
    await item(process, acme, "second")
    await backed_up(process, acme, tmp_path)
    await item(process, acme, "third")

    before = (at - timedelta(seconds=1)).isoformat(timespec="seconds")
    assert await said_by(settings, tmp_path, "restore", acme.slug, "--in-place", "--at", before, status=2) == (
        f"leasehold: There is no backup of the tenant {acme.slug} of {before} or before; "
        "`leasehold backup list` shows which there are."
    )
    beside = new_slug()
    said = await said_by(settings, tmp_path, "restore", acme.slug, "--beside", beside, "--json")
    assert (json.loads(said)["slug"], await _titles(owner, beside)) == (beside, ["first", "second"])

    said = await said_by(settings, tmp_path, "restore", acme.slug, "--in-place", "--at", at.isoformat())
    assert said.startswith(f"{acme.slug} is as it was at {at:%Y-%m-%d %H:%M:%S} UTC, at revision ")
    assert await _titles(owner, acme.slug) == ["first"]
    listed = json.loads(await said_by(settings, tmp_path, "restores", "list", "--json"))
    (waiting,) = [one for one in listed if one["slug"] == acme.slug]
    assert waiting["is_undone"] is False
    again = await said_by(settings, tmp_path, "restore", acme.slug, "--in-place", status=2)
    assert again.startswith(f"leasehold: The tenant {acme.slug} was put back already")
    await said_by(settings, tmp_path, "restores", "undo", acme.slug)
    assert await _titles(owner, acme.slug) == ["first", "second", "third"]
    with outlived(command(settings, tmp_path, "restores", "confirm", acme.slug)) as asking:
        _, asked = asking.communicate(timeout=180)  # and nobody answers
    assert f"has what it had before; the state of {at:%Y-%m-%d %H:%M:%S} UTC is kept since " in asked
    assert await aside_of(owner, acme.id) is not None
    await said_by(settings, tmp_path, "restores", "confirm", acme.slug, "--yes")
    assert await aside_of(owner, acme.id) is None
    assert await _titles(owner, acme.slug) == ["first", "second", "third"]


async def test_a_purged_tenant_comes_back_by_the_slug_that_it_had_and_under_its_id(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await item(process, acme, "Desk")
    await backed_up(process, acme, tmp_path)
    await purged(process, acme.id)
    done = json.loads(await said_by(settings, tmp_path, "restore", acme.slug, "--in-place", "--json"))
    assert (done["id"], done["has_kept_id"], done["reissue"]) == (str(acme.id), True, [])
    assert await _titles(owner, acme.slug) == ["Desk"]
    nobody = await said_by(settings, tmp_path, "restore", "nobody-at-all", "--in-place", status=2)
    assert nobody == "leasehold: There is no tenant nobody-at-all, and no backup of one that was called so."


async def test_a_backup_that_was_cut_off_altered_or_sealed_by_another_passphrase_changes_nothing(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    file = await backed_up(process, acme, tmp_path)
    whole, rows = file.read_bytes(), await rows_of(process, owner, acme.id, without_events=False)
    before = await owner.fetchrow(_CATALOG)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content, passphrase, sentence in (
        (whole[: len(whole) // 2], "a horse that nobody names", "The archive was cut off or altered, or is none: "),
        (bytes(flipped), "a horse that nobody names", "The archive was cut off or altered, or is none: "),
        (whole, "another horse altogether", "This is not the passphrase of the archive."),
    ):
        file.write_bytes(content)
        said = await said_by(settings, tmp_path, "restore", acme.slug, "--in-place", status=2, passphrase=passphrase)
        assert said.startswith(f"leasehold: {sentence}")
    drilled = await said_by(settings, tmp_path, "backup", "drill", acme.slug, status=1, passphrase=passphrase)
    assert "This is not the passphrase of the archive" in drilled
    assert await owner.fetchrow(_CATALOG) == before
    assert await rows_of(process, owner, acme.id, without_events=False) == rows


async def test_a_drill_tells_of_each_backup_and_leaves_nothing(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, globex: TenantRef, tmp_path: Path
) -> None:
    await item(process, acme, "Desk")
    await backed_up(process, acme, tmp_path)
    before = await owner.fetchrow(_CATALOG)
    drill = json.loads(await said_by(settings, tmp_path, "backup", "drill", acme.slug, globex.slug, "--json", status=1))
    assert (drill["passed"], drill["failed"]) == (1, 1)
    good, bad = drill["backups"]
    assert (good["what"], good["reason"], good["rows"], good["is_loaded"]) == (acme.slug, None, 3, True)
    assert (bad["what"], bad["reason"], bad["at"]) == (globex.slug, "there is no backup", None)
    assert await owner.fetchrow(_CATALOG) == before
