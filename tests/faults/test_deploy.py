"""A deploy, rehearsed under load: expand, roll out, contract. A wrong order degrades and breaks nothing."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from leasehold.config import Settings
from leasehold.main import build_process, running
from leasehold.tenancy.bind import open_tenant_session
from tests.conftest import installed, migrate
from tests.factories import new_slug
from tests.faults.balancer import balancing
from tests.faults.load import Load
from tests.faults.releases import NEUTRAL, Release, Server, Tenant, provision_by_old, two_releases
from tests.integration.cli.shell import free_port, succeeded
from tests.isolation.scenario import TITLES

SOME = 20
TENANTS = 3
DRAIN = {"drain_s": "2"}


@pytest.fixture(scope="module")
def own(admin_url: str, worker_id: str) -> Generator[Settings]:
    """An installation of these tests alone, migrated by the old release."""
    with installed(admin_url, f"leasehold_deploy_{worker_id}_{new_slug()[2:]}") as settings:
        migrate(settings)
        yield settings


@pytest.fixture(scope="module")
def releases(own: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    """The old release and the new one."""
    return two_releases(own, tmp_path_factory.mktemp("releases"))


async def migrate_by(release: Release, tenants: list[Tenant], *options: str) -> None:
    """Run `leasehold migrate all` of a release for some tenants; those of other tests stay as they are."""
    slugs = ",".join(tenant.ref.slug for tenant in tenants)
    succeeded(await asyncio.to_thread(release.migrate_all, "--only", slugs, *options))


async def demand_journal(own: Settings, tenants: list[Tenant], load: Load) -> None:
    """Demand that whatever was acknowledged is there exactly once, and nothing else."""
    process = build_process(own)
    async with running(process):
        for place, tenant in enumerate(tenants):
            async with open_tenant_session(process.database, tenant.ref) as session:
                assert sorted(await session.scalars(TITLES)) == load.made_for(place)


async def stop(server: Server) -> None:
    """Stop a server in order."""
    assert await asyncio.to_thread(server.process.end, signal.SIGTERM) == 0, server.process.complained


async def test_in_the_right_order_a_deploy_fails_no_request(own: Settings, releases: tuple[Release, Release]) -> None:
    old, new = releases
    tenants = await provision_by_old(own, TENANTS)
    with ExitStack() as servers:
        of_old = servers.enter_context(old.served(**DRAIN))
        port = free_port()
        async with balancing(of_old.address, f"http://127.0.0.1:{port}") as balancer:
            await balancer.until_ready(of_old.address)
            load = Load(balancer.address, [tenant.headers for tenant in tenants])
            async with load.flowing():
                await load.more(SOME)
                await migrate_by(new, tenants, "--to", NEUTRAL)
                of_new = servers.enter_context(new.served(port=port, **DRAIN))
                await balancer.until_ready(of_old.address, of_new.address)
                await load.more(SOME)
                await stop(of_old)
                await migrate_by(new, tenants, "--allow-destructive")
                await load.more(SOME)
    assert (load.failures, load.refused) == ([], 0)
    await demand_journal(own, tenants, load)


async def test_in_the_wrong_order_tenants_are_asked_to_come_back_until_code_and_schema_fit_again(
    own: Settings, releases: tuple[Release, Release]
) -> None:
    new = releases[1]
    tenants = await provision_by_old(own, TENANTS)
    with ExitStack() as servers:
        of_old, of_new = (servers.enter_context(release.served(**DRAIN)) for release in releases)
        async with balancing(of_old.address, of_new.address) as balancer:
            await balancer.until_ready(of_old.address, of_new.address)
            load = Load(balancer.address, [tenant.headers for tenant in tenants])
            async with load.flowing():
                await load.some_refused()  # by the new code, whose column is missing
                await load.more(SOME)
                await migrate_by(new, tenants, "--allow-destructive")
                await load.some_refused()  # by the old code, whose column is gone
                await load.more(SOME)
                await stop(of_old)
                refused = load.refused
                await load.more(SOME)
                assert load.refused == refused
    assert load.failures == []
    await demand_journal(own, tenants, load)
