"""A function that is called for every tenant, where one was put back: for both of its states, each once."""

from pathlib import Path
from typing import Any

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.calls import FleetCall, TenantCall
from leasehold.tenancy.fleet.run import RunSummary
from leasehold.workspace.auth.pepper import read_pepper
from tests.archives import exported
from tests.factories import OPERATOR, new_slug
from tests.restores import aside_of, put_back


async def call(settings: Settings, process: Process, function: TenantCall, name: str, *slugs: str) -> RunSummary:
    assert settings.owner_url is not None
    url = settings.owner_url.get_secret_value()
    made = FleetCall(url, OPERATOR, process.database, process.window, name=name, function=function, only=slugs)
    return await made.run()


async def test_what_is_set_aside_is_called_for_as_the_tenant_for_whom_its_secrets_are_wrapped(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await exported(process, acme.slug, tmp_path / "acme.archive")
    await put_back(process, tmp_path / "acme.archive", acme.id)
    kept = await aside_of(owner, acme.id)
    opened: list[bytes] = []

    async def open_secret(session: TenantSession, tenant: TenantRef) -> None:
        opened.append(await read_pepper(session, process.key, tenant))

    summary = await call(settings, process, open_secret, f"work:{new_slug()}", acme.slug, kept["slug"])

    assert (summary.outcome, len(set(opened)), len(opened)) == ("succeeded", 1, 2)
    assert {result.tenant_id for result in summary.results} == {acme.id, kept["id"]}


async def test_a_call_that_goes_on_is_made_for_the_state_to_which_a_tenant_was_put_back_meanwhile(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, globex: TenantRef, tmp_path: Path
) -> None:
    async def fail_for_globex(_session: TenantSession, tenant: TenantRef) -> None:
        if tenant.id == globex.id:
            raise LookupError

    name = f"work:{new_slug()}"
    await exported(process, acme.slug, tmp_path / "acme.archive")
    first = await call(settings, process, fail_for_globex, name, acme.slug, globex.slug)
    await put_back(process, tmp_path / "acme.archive", acme.id)
    kept = (await aside_of(owner, acme.id))["slug"]
    again = await call(settings, process, fail_for_globex, name, acme.slug, globex.slug, kept)

    assert sorted(result.slug for result in first.results) == sorted([acme.slug, globex.slug])
    assert sorted(result.slug for result in again.results) == sorted([acme.slug, globex.slug])
