"""Provisioning is all or nothing, whatever happens in its middle and however many do it at once."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.models import TenantModel
from leasehold.process import Process
from leasehold.tenancy import connections
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.fleet.fingerprint import describe
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.reference import open_reference
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.owner import NoOwner, Owner
from leasehold.tenancy.provision import FingerprintMismatch, FleetNotReady, Provisioner, SlugTaken
from leasehold.workspace.auth.pepper import pepper_seed, read_pepper
from tests.factories import OPERATOR, new_slug, provisioned, until

_LEFT = """
SELECT (SELECT count(*) FROM platform.tenants) AS tenants,
       (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%') AS schemas,
       (SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
                                                JOIN platform.tenants t ON t.role_name = r.rolname) AS grants,
       (SELECT count(*) FROM platform.registry_changes) AS changes
"""


@pytest.fixture
async def owner(settings: Settings) -> AsyncGenerator[Any]:
    assert settings.owner_url is not None
    connection = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    yield connection
    await connection.close()


def _provisioner(settings: Settings, process: Process, **changes: Any) -> Provisioner:
    assert settings.owner_url is not None
    arguments: dict[str, Any] = {
        "owner": Owner(settings.owner_url.get_secret_value()),
        "app": process.provisioner.app,
        "history": TenantHistory.load(settings.migrations_dir),
        "metadata": TenantModel.metadata,
        "seeds": [pepper_seed(process.key)],
        "record": None,
        "tenant_roles": True,
    }
    return Provisioner(**(arguments | changes))


async def test_a_new_tenant_has_the_shape_of_the_reference(process: Process, owner: Any) -> None:
    tenant = await provisioned(process)
    lines = await describe(owner, SchemaTarget(tenant.schema, tenant.role))
    assert lines == await describe(owner, await open_reference(owner))
    assert "right items DELETE tenant" in lines
    assert "right alembic_version SELECT tenant" in lines
    assert "right alembic_version UPDATE tenant" not in lines


async def test_every_tenant_has_a_pepper_of_its_own(process: Process) -> None:
    peppers: list[bytes] = []
    for _ in range(2):
        tenant = await provisioned(process)
        async with open_tenant_session(process.database, tenant) as session:
            peppers.append(await read_pepper(session, process.key, tenant))
    assert len(peppers[0]) == 32
    assert peppers[0] != peppers[1]


async def test_twenty_at_once_with_one_slug_make_one_tenant(process: Process, owner: Any) -> None:
    slug = new_slug()
    outcomes = await asyncio.gather(
        *(process.provisioner.provision(slug=slug, name="x", by=OPERATOR) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(outcome, SlugTaken) for outcome in outcomes) == 19
    (made,) = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert await owner.fetchval("SELECT count(*) FROM platform.tenants WHERE slug = $1", slug) == 1
    assert await owner.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", made.schema) == 1


async def test_twenty_at_once_with_twenty_slugs_make_twenty_tenants(process: Process) -> None:
    made = await asyncio.gather(
        *(process.provisioner.provision(slug=new_slug(), name="x", by=OPERATOR) for _ in range(20))
    )
    assert len({tenant.schema for tenant in made}) == 20
    await until(lambda: all(process.directory.by_id(tenant.id) for tenant in made))


class DyingConnection(asyncpg.Connection):
    """Loses its backend, really killed by PostgreSQL, when the statement with a given number is sent."""

    remaining = -1

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109
        await self._count()
        return await super().execute(query, *args, timeout=timeout)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        await self._count()
        return await super().fetch(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        await self._count()
        return await super().fetchval(query, *args, **options)

    async def _count(self) -> None:
        cls = type(self)
        cls.remaining -= 1
        if cls.remaining == 0:
            await super().execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_a_crash_at_any_statement_leaves_nothing_behind(
    settings: Settings, process: Process, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_dying_pool(url: str, **_options: Any) -> Any:
        return await asyncpg.create_pool(
            driver_url(url), min_size=0, max_size=1, connection_class=DyingConnection, reset=_no_reset
        )

    monkeypatch.setattr(connections, "_open_pool", open_dying_pool)
    before = await owner.fetchrow(_LEFT)
    for step in range(1, 100):
        provisioner = _provisioner(settings, process)
        DyingConnection.remaining = step
        try:
            await provisioner.provision(slug=new_slug(), name="x", by=OPERATOR)
        except DatabaseUnavailable:
            assert await owner.fetchrow(_LEFT) == before, f"statement {step} left something behind"
        else:
            break
        finally:
            await provisioner.owner.close()
    assert step > 6


async def _no_reset(_connection: Any) -> None:
    """Keep the pool's own statements out of the count."""


async def test_a_seed_that_fails_leaves_nothing_behind(settings: Settings, process: Process, owner: Any) -> None:
    async def broken(*_: object) -> None:
        raise LookupError("no seed today")

    before = await owner.fetchrow(_LEFT)
    provisioner = _provisioner(settings, process, seeds=[broken])
    with pytest.raises(LookupError):
        await provisioner.provision(slug=new_slug(), name="x", by=OPERATOR)
    await provisioner.owner.close()
    assert await owner.fetchrow(_LEFT) == before


async def test_a_schema_that_differs_from_the_reference_is_not_let_in(
    settings: Settings, process: Process, owner: Any
) -> None:
    async def one_column_more(connection: Any, *_: object) -> None:
        await connection.execute("ALTER TABLE items ADD COLUMN planted int")

    before = await owner.fetchrow(_LEFT)
    provisioner = _provisioner(settings, process, seeds=[one_column_more])
    with pytest.raises(FingerprintMismatch):
        await provisioner.provision(slug=new_slug(), name="x", by=OPERATOR)
    await provisioner.owner.close()
    assert await owner.fetchrow(_LEFT) == before


async def test_a_process_without_the_owner_says_so(settings: Settings, process: Process) -> None:
    with pytest.raises(NoOwner):
        await _provisioner(settings, process, owner=Owner(None)).provision(slug=new_slug(), name="x", by=OPERATOR)


async def test_a_database_that_does_not_know_the_head_says_so(settings: Settings, process: Process, owner: Any) -> None:
    provisioner = _provisioner(settings, process)
    rows = await owner.fetch("SELECT revision FROM platform.tenant_revisions")
    assert [row["revision"] for row in rows]
    await owner.execute("UPDATE platform.tenant_revisions SET revision = 'unknown'")
    try:
        with pytest.raises(FleetNotReady):
            await provisioner.provision(slug=new_slug(), name="x", by=OPERATOR)
    finally:
        await owner.execute("UPDATE platform.tenant_revisions SET revision = $1", rows[0]["revision"])
        await provisioner.owner.close()


async def test_without_roles_a_tenant_is_made_for_the_login_of_the_app(
    settings: Settings, process: Process, owner: Any
) -> None:
    provisioner = _provisioner(settings, process, tenant_roles=False)
    tenant = await provisioner.provision(slug=new_slug(), name="x", by=OPERATOR)
    await provisioner.owner.close()
    assert await owner.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", tenant.role) is None
    assert await owner.fetchval("SELECT has_schema_privilege('lh_app', $1, 'USAGE')", tenant.schema) is True
