"""An act and its event are one: both are there, or neither, in the log of whoever it concerns."""

import asyncio
from typing import Any

import asyncpg
import pytest
from advanced_alchemy.exceptions import NotFoundError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from leasehold.config import Settings
from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession, driver_url, platform_session
from leasehold.core.ids import made_at, new_id
from leasehold.core.sqlstate import ValueRefused
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.provision import SlugTaken
from leasehold.workspace.clients.schemas import ApiClientPatch
from leasehold.workspace.clients.service import ApiClientService
from tests.audit import events_of
from tests.factories import OPERATOR, api_client, item, lifecycle, provisioned


def tenants(session: PlatformSession, process: Process) -> TenantService:
    return TenantService(session, process.provisioner, base_domain="leasehold.test", vacancies=0)


async def owned(settings: Settings, statement: str) -> None:
    """Run a statement as the owner, to whom no right is refused."""
    assert settings.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_an_event_says_who_did_what_to_what(settings: Settings, process: Process, acme: TenantRef) -> None:
    admin_id, user_id, target_id = new_id(), new_id(), new_id()
    by = Actor("user", user_id, impersonator_id=admin_id, request_id="request-1")
    async with open_tenant_session(process.database, acme) as session:
        await AuditLog(session, by).record(
            "user.renamed", ("user", target_id), changes={"name": {}}, outcome="refused", reason="a test"
        )
    (event,) = events_of(settings, acme, action="user.renamed")
    event_id, created_at = event.pop("id"), event.pop("created_at")
    assert event_id.version == 7
    assert created_at == made_at(event_id)
    assert event == {
        "actor_kind": "user",
        "actor_id": user_id,
        "impersonator_id": admin_id,
        "action": "user.renamed",
        "target_kind": "user",
        "target_id": target_id,
        "outcome": "refused",
        "reason": "a test",
        "request_id": "request-1",
        "changes": {"name": {}},
    }


async def test_an_act_that_is_rolled_back_leaves_no_event(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    client = await api_client(process, acme)
    before = (events_of(settings, acme), len(events_of(settings, None)))

    async def in_the_tenant() -> None:
        async with open_tenant_session(process.database, acme) as session:
            service = ApiClientService(session=session)
            await service.change(client.client_id, ApiClientPatch(is_active=False), by=OPERATOR)
            await service.remove(client.client_id, by=OPERATOR)
            raise LookupError

    async def on_the_platform() -> None:
        async with platform_session(process.database) as session:
            await lifecycle(session).suspend(acme.id, by=OPERATOR)
            raise LookupError

    for act in (in_the_tenant, on_the_platform):
        with pytest.raises(LookupError):
            await act()
    assert (events_of(settings, acme), len(events_of(settings, None))) == before


async def test_an_act_whose_event_cannot_be_written_is_rolled_back(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    client = await api_client(process, acme)
    await owned(settings, f"ALTER TABLE \"{acme.schema}\".audit_events ADD CHECK (action NOT LIKE '%.d%')")
    with pytest.raises(ValueRefused):
        async with open_tenant_session(process.database, acme) as session:
            await ApiClientService(session=session).remove(client.client_id, by=OPERATOR)
    with pytest.raises(ValueRefused):
        async with platform_session(process.database) as session:
            await lifecycle(session).delete(acme.id, by=OPERATOR)
    async with platform_session(process.database) as session:
        assert (await tenants(session, process).find(acme.id)).state == "active"
    async with open_tenant_session(process.database, acme) as session:
        assert await ApiClientService(session=session).get(client.client_id)
    deleted = events_of(settings, None, action="tenant.deleted")
    assert acme.id not in {event["target_id"] for event in deleted}


async def test_what_an_admin_does_to_a_tenant_is_in_both_logs_as_one_event(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    admin = Actor("admin", new_id(), request_id="request-2")
    async with platform_session(process.database) as session:
        service, states = tenants(session, process), lifecycle(session)
        await states.suspend(acme.id, by=admin)
        await states.suspend(acme.id, by=admin)  # it is suspended: nothing happens
        await states.resume(acme.id, by=admin)
        await service.add_domain(acme.id, f"{acme.slug}.example", by=admin)
        await service.remove_domain(acme.id, f"{acme.slug}.example", by=admin)
        deleted = await states.delete(acme.id, by=admin)
    assert deleted.purge_at is not None
    purge_at = deleted.purge_at.isoformat().replace("+00:00", "Z")
    theirs = events_of(settings, acme)
    assert [(event["action"], event["changes"]) for event in theirs] == [
        ("tenant.provisioned", {"slug": {"from": None, "to": acme.slug}}),
        ("tenant.suspended", {"state": {"from": "active", "to": "suspended"}}),
        ("tenant.resumed", {"state": {"from": "suspended", "to": "active"}}),
        ("tenant.domain_added", {"hostname": {"from": None, "to": f"{acme.slug}.example"}}),
        ("tenant.domain_removed", {"hostname": {"from": f"{acme.slug}.example", "to": None}}),
        ("tenant.deleted", {"state": {"from": "active", "to": "deleted"}, "purge_at": {"from": None, "to": purge_at}}),
    ]
    assert [event for event in events_of(settings, None) if event["target_id"] == acme.id] == theirs
    assert {(event["actor_kind"], event["actor_id"], event["request_id"]) for event in theirs[1:]} == {
        ("admin", admin.id, "request-2")
    }
    assert [event["action"] for event in events_of(settings, globex)] == ["tenant.provisioned"]


async def test_a_tenant_that_is_not_provisioned_leaves_no_event(settings: Settings, process: Process) -> None:
    taken = await provisioned(process)
    before = len(events_of(settings, None))
    async with platform_session(process.database) as session:
        with pytest.raises(SlugTaken):
            await tenants(session, process).provision(slug=taken.slug, name="x", by=OPERATOR)
    assert len(events_of(settings, None)) == before


async def test_the_schema_of_a_tenant_that_was_not_migrated_yet_has_no_log_and_can_be_suspended(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    await owned(settings, f'ALTER TABLE "{acme.schema}".audit_events RENAME TO later')
    async with platform_session(process.database) as session:
        assert (await lifecycle(session).suspend(acme.id, by=OPERATOR)).state == "suspended"
    suspended = events_of(settings, None, action="tenant.suspended")
    assert acme.id in {event["target_id"] for event in suspended}


async def test_a_session_that_recorded_in_a_tenant_is_one_of_the_platform_again(
    process: Process, acme: TenantRef
) -> None:
    await item(process, acme)
    async with platform_session(process.database) as session:
        path = await session.scalar(text("SHOW search_path"))
        await AuditLog(session, OPERATOR).record_to(acme.id, "tenant.suspended")
        assert await session.scalar(text("SELECT current_user::text")) == "lh_app"
        assert await session.scalar(text("SHOW search_path")) == path
        with pytest.raises(DBAPIError, match="permission denied"):
            await session.scalar(text(f'SELECT count(id) FROM "{acme.schema}".items'))
    async with open_tenant_session(process.database, acme) as session:
        with pytest.raises(TypeError, match="platform's session"):
            await AuditLog(session, OPERATOR).record_to(acme.id, "tenant.suspended")


async def test_a_tenant_that_an_act_is_recorded_in_is_not_moved_meanwhile(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    """What puts a tenant back gives its schema another name, and an event would find none by the former one."""
    moved = f"UPDATE platform.tenants SET schema_name = 'elsewhere' WHERE id = '{acme.id}'"
    async with platform_session(process.database) as session:
        await AuditLog(session, OPERATOR).record_to(acme.id, "tenant.noted")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await owned(settings, f"SET lock_timeout = '100ms'; {moved}")


async def test_a_patch_that_changes_nothing_is_no_act(settings: Settings, process: Process, acme: TenantRef) -> None:
    client = await api_client(process, acme, "items:read")
    before = events_of(settings, acme)
    async with open_tenant_session(process.database, acme) as session:
        patch = ApiClientPatch(name="test", scopes=["items:read"], is_active=True)
        await ApiClientService(session=session).change(client.client_id, patch, by=OPERATOR)
    assert events_of(settings, acme) == before


async def test_a_patch_is_told_by_an_event_for_each_kind_of_change(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    client = await api_client(process, acme, "items:read")
    async with open_tenant_session(process.database, acme) as session:
        patch = ApiClientPatch(name="Sam's laptop", scopes=[], is_active=False)
        await ApiClientService(session=session).change(client.client_id, patch, by=OPERATOR)
    told = {event["action"]: event["changes"] for event in events_of(settings, acme)[-3:]}
    assert told == {
        "client.renamed": {"name": {}},
        "client.scopes_changed": {"scopes": {"from": ["items:read"], "to": []}},
        "client.disabled": {"is_active": {"from": True, "to": False}},
    }


async def test_a_second_deletion_of_the_same_thing_leaves_no_second_event(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    client = await api_client(process, acme)

    async def remove() -> bool:
        try:
            async with open_tenant_session(process.database, acme) as session:
                await ApiClientService(session=session).remove(client.client_id, by=OPERATOR)
        except NotFoundError:
            return False
        return True

    assert sorted(await asyncio.gather(*(remove() for _ in range(4)))) == [False, False, False, True]
    assert len(events_of(settings, acme, action="client.deleted")) == 1
