"""A tenant that is put back while it is exported is looked at again: the backups of that night do not miss it.

Who copies it then is told to come back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.archive import exporting, snapshot
from leasehold.tenancy.archive.refusals import Drifted
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.context import TenantPutBack, TenantRef
from tests.archives import PASSPHRASE, exported
from tests.factories import OPERATOR, item, new_slug
from tests.restores import put_back


@pytest.fixture
async def yesterday(process: Process, acme: TenantRef, tmp_path: Path) -> Path:
    """An archive of a tenant with one item, which has two by now."""
    await item(process, acme, "of yesterday")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    await item(process, acme, "of today")
    return tmp_path / "acme.archive"


def _once_before(real: Callable[..., Awaitable[Any]], act: Callable[[], Awaitable[object]]) -> Callable[..., Any]:
    done: list[bool] = []

    async def first(*arguments: Any, **named: Any) -> Any:
        if not done:
            done.append(True)
            await act()
        return await real(*arguments, **named)

    return first


@pytest.mark.parametrize("step", ["fingerprint", "table_shapes"])
async def test_a_tenant_that_is_put_back_in_the_middle_of_a_look_is_looked_at_again(
    process: Process, acme: TenantRef, yesterday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    moving = _once_before(getattr(snapshot, step), lambda: put_back(process, yesterday, acme.id))
    monkeypatch.setattr(snapshot, step, moving)
    done = await exported(process, acme.slug, tmp_path / "again.archive")
    assert done.rows > 0


async def test_a_schema_that_did_drift_is_told_all_the_same(
    process: Process, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await owner.execute(f'ALTER TABLE "{acme.schema}".items ADD COLUMN mine text')
    with pytest.raises(Drifted):
        await exported(process, acme.slug, tmp_path / "a.archive")


async def test_a_tenant_that_is_put_back_while_its_rows_are_read_is_backed_up_all_the_same(
    process: Process, acme: TenantRef, yesterday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = _once_before(exporting.write_table, lambda: put_back(process, yesterday, acme.id))
    monkeypatch.setattr(exporting, "write_table", moving)
    opened: list[BytesIO] = []

    @contextmanager
    def open_sink(_at: Any) -> Any:
        opened.append(BytesIO())
        yield opened[-1]

    key = await asyncio.to_thread(ArchiveKey.new, PASSPHRASE)
    _, manifest = await process.exporter.export_changed(acme.id, open_sink, key, since=None)
    assert manifest is not None
    (items,) = [table for table in manifest.tables if table.name == "items"]
    assert (items.rows, len(opened)) == (1, 2)
    await process.restorer.confirm(acme.id, by=OPERATOR)


async def test_who_copies_a_tenant_that_moves_there_and_back_is_asked_to_come_back(
    process: Process, acme: TenantRef, yesterday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = process.provisioner.provision_copy

    async def meanwhile(*arguments: Any, **named: Any) -> Any:
        await put_back(process, yesterday, acme.id)
        try:
            return await real(*arguments, **named)
        finally:
            await process.restorer.undo(acme.id, by=OPERATOR)

    monkeypatch.setattr(process.provisioner, "provision_copy", meanwhile)
    with pytest.raises(TenantPutBack):
        await process.cloner.clone(
            acme.id, tenant_id=new_id(), slug=new_slug(), name="A copy", is_scrubbed=False, by=OPERATOR
        )
