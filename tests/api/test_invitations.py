"""Who may become a user: whoever asks, who was invited, or nobody; and the role that an invitation gives."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, refusal_of
from tests.factories import bearer
from tests.people import PASSWORD, SAM, Mailbox, headers_of, logged_in, login, post, secret_in, set_registration, user


@pytest.fixture
def mailbox(process: Process, tmp_path_factory: pytest.TempPathFactory) -> Mailbox:
    """Where the mails of this test go."""
    return Mailbox(process, tmp_path_factory.mktemp("mail"))


async def invite(
    http: httpx.AsyncClient, headers: dict[str, str], address: str = SAM, role: str = "member"
) -> httpx.Response:
    return await http.post("/v1/invitations", headers=headers, json={"email": address, "role": role})


async def sign_up(http: httpx.AsyncClient, tenant: TenantRef, address: str = SAM, **more: str) -> httpx.Response:
    return await post(http, tenant, "register", {"email": address, "password": PASSWORD, **more})


async def test_an_invitation_makes_a_user_with_its_role_and_a_confirmed_address(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef, globex: TenantRef
) -> None:
    made = await invite(http, await bearer(process, acme), "Sam@Acme.Example", "admin")
    assert made.status_code == 201
    assert set(made.json()) == {"id", "email", "role", "invited_by", "expires_at", "created_at"}
    (mail,) = await mailbox.deliver(acme)
    assert mail["To"] == SAM
    secret = secret_in(mail)
    assert refusal_of(await sign_up(http, globex, invitation=secret)) == (422, "invalid-invitation")
    joined = await sign_up(http, acme, invitation=secret)
    assert joined.status_code == 201
    assert joined.json()["role"] == "admin"
    assert joined.json()["email_confirmed_at"] is not None
    assert (await login(http, acme)).status_code == 200
    assert await mailbox.deliver(acme) == []
    listed = await http.get("/v1/invitations", headers=await bearer(process, acme))
    assert listed.json()["items"] == []


async def test_nobody_signs_up_without_an_invitation_unless_the_tenant_says_so(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef, globex: TenantRef
) -> None:
    assert refusal_of(await sign_up(http, acme)) == (403, "invitation-required")
    await set_registration(process, globex, "open")
    assert (await sign_up(http, globex)).json()["role"] == "member"
    headers = await bearer(process, acme)
    for registration, expected in (("closed", 403), ("open", 201), (None, 403)):
        changed = await http.patch("/v1/tenant", headers=headers, json={"registration": registration})
        assert changed.json()["settings"]["registration"] == (registration or "invite_only")
        assert (await sign_up(http, acme, f"{registration}@acme.example")).status_code == expected
    await invite(http, headers)
    mail = (await mailbox.deliver(acme))[-1]
    await set_registration(process, acme, "closed")
    assert refusal_of(await sign_up(http, acme, invitation=secret_in(mail))) == (403, "registration-closed")


async def test_an_invitation_is_good_once_and_for_its_address_alone(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await invite(http, await bearer(process, acme))
    (mail,) = await mailbox.deliver(acme)
    refused = await sign_up(http, acme, "eve@acme.example", invitation=secret_in(mail))
    assert refusal_of(refused) == (422, "invalid-invitation")
    assert pointers_of(refused) == ["/invitation"]
    answers = await asyncio.gather(*(sign_up(http, acme, invitation=secret_in(mail)) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422, 422]


async def test_a_common_password_does_not_use_an_invitation_up(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await invite(http, await bearer(process, acme))
    (mail,) = await mailbox.deliver(acme)
    body = {"email": SAM, "password": "password1", "invitation": secret_in(mail)}
    assert refusal_of(await post(http, acme, "register", body)) == (422, "common-password")
    assert (await sign_up(http, acme, invitation=secret_in(mail))).status_code == 201


async def test_an_invitation_that_was_taken_back_or_expired_is_void(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    made = (await invite(http, headers)).json()
    (mail,) = await mailbox.deliver(acme)
    foreign = await bearer(process, globex)
    assert (await http.get(f"/v1/invitations/{made['id']}", headers=foreign)).status_code == 404
    assert (await http.delete(f"/v1/invitations/{made['id']}", headers=foreign)).status_code == 404
    assert (await http.get(f"/v1/invitations/{made['id']}", headers=headers)).json()["email"] == SAM
    assert (await http.delete(f"/v1/invitations/{made['id']}", headers=headers)).status_code == 204
    assert refusal_of(await sign_up(http, acme, invitation=secret_in(mail))) == (422, "invalid-invitation")
    await invite(http, headers)
    (mail,) = await mailbox.deliver(acme)
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("UPDATE invitations SET expires_at = now() - interval '1 second'"))
    assert refusal_of(await sign_up(http, acme, invitation=secret_in(mail))) == (422, "invalid-invitation")


async def test_one_that_was_taken_back_before_its_mail_went_is_not_sent(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    made = (await invite(http, headers)).json()
    await http.delete(f"/v1/invitations/{made['id']}", headers=headers)
    assert await mailbox.deliver(acme) == []


async def test_an_address_is_invited_once_and_no_user_is(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    assert (await invite(http, headers)).status_code == 201
    assert refusal_of(await invite(http, headers)) == (409, "already-invited")
    await user(process, acme, "eve@acme.example")
    assert refusal_of(await invite(http, headers, "eve@acme.example")) == (409, "email-taken")


@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_nobody_invites_into_a_role_that_gives_more_than_they_hold(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, role: str
) -> None:
    headers = await bearer(process, acme, "users:write", "users:read", "items:read", "items:write", "tenant:read")
    assert (await invite(http, headers, "member@acme.example")).status_code == 201
    assert refusal_of(await invite(http, headers, role=role)) == (403, "insufficient-scope")


async def test_an_admin_makes_no_owner_and_has_no_power_over_one(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    owner = await user(process, acme, "owner@acme.example", role="owner")
    await user(process, acme, role="admin")
    headers = headers_of(await logged_in(http, acme))
    assert refusal_of(await invite(http, headers, "x@acme.example", "owner")) == (403, "insufficient-scope")
    for body in ({"role": "member"}, {"is_active": False}, {"name": "Eve"}):
        refused = await http.patch(f"/v1/users/{owner.id}", headers=headers, json=body)
        assert refusal_of(refused) == (403, "insufficient-scope")
    refused = await http.delete(f"/v1/users/{owner.id}", headers=headers)
    assert refusal_of(refused) == (403, "insufficient-scope")
    refused = await http.delete(f"/v1/users/{owner.id}/totp", headers=headers)
    assert refusal_of(refused) == (403, "insufficient-scope")
    assert (await http.patch("/v1/tenant", headers=headers, json={"registration": "open"})).status_code == 403


async def test_the_last_owner_stays_one(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    owner = await user(process, acme, role="owner")
    await user(process, globex, role="owner")
    headers = await bearer(process, acme)
    for body in ({"role": "admin"}, {"is_active": False}):
        refused = await http.patch(f"/v1/users/{owner.id}", headers=headers, json=body)
        assert refusal_of(refused) == (409, "last-owner")
    assert refusal_of(await http.delete(f"/v1/users/{owner.id}", headers=headers)) == (409, "last-owner")
    other = await user(process, acme, "other@acme.example", role="owner")
    assert (await http.patch(f"/v1/users/{other.id}", headers=headers, json={"name": "O"})).status_code == 200
    assert (await http.delete(f"/v1/users/{owner.id}", headers=headers)).status_code == 204
    assert refusal_of(await http.delete(f"/v1/users/{other.id}", headers=headers)) == (409, "last-owner")


async def test_of_two_owners_who_go_at_once_one_stays(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    for _ in range(5):
        owners = [await user(process, acme, f"{n}@acme.example", role="owner") for n in range(2)]
        answers = await asyncio.gather(
            *(http.patch(f"/v1/users/{one.id}", headers=headers, json={"role": "admin"}) for one in owners)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        async with open_tenant_session(process.database, acme) as session:
            await session.execute(text("DELETE FROM users"))
