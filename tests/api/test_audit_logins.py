"""Logins and refused token requests leave an event, though the answer to a refusal is an error."""

import asyncio

import httpx

from leasehold.config import Settings
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients.schemas import NewApiClient
from tests.api.problems import on, refusal_of
from tests.audit import events_of, refusing_events
from tests.factories import api_client, bearer

PASSWORD = "correct horse battery"
EMAIL = "sam@acme.example"


async def signed_up(http: httpx.AsyncClient, tenant: TenantRef) -> str:
    made = await http.post(on(tenant.slug, "/v1/auth/register"), json={"email": EMAIL, "password": PASSWORD})
    return made.json()["id"]


async def logged_in(http: httpx.AsyncClient, tenant: TenantRef, email: str, password: str) -> httpx.Response:
    return await http.post(on(tenant.slug, "/v1/auth/login"), json={"email": email, "password": password})


async def exchanged(http: httpx.AsyncClient, tenant: TenantRef, client: NewApiClient, **form: str) -> httpx.Response:
    fields = {"grant_type": "client_credentials", "client_id": str(client.client_id)}
    fields["client_secret"] = client.client_secret
    return await http.post(on(tenant.slug, "/oauth/token"), data=fields | form)


async def test_a_sign_up_and_a_login_are_acts_of_the_user(
    http: httpx.AsyncClient, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    user_id = await signed_up(http, acme)
    answer = await logged_in(http, acme, EMAIL, PASSWORD)
    registered, login = events_of(settings, acme)[-2:]
    assert (registered["action"], registered["actor_kind"], str(registered["target_id"])) == (
        "user.registered",
        "anonymous",
        user_id,
    )
    assert (login["action"], login["outcome"], login["reason"]) == ("login.succeeded", "succeeded", None)
    assert (login["actor_kind"], str(login["actor_id"]), str(login["target_id"])) == ("user", user_id, user_id)
    assert login["request_id"] == answer.headers["request-id"]
    assert [event["action"] for event in events_of(settings, globex)] == ["tenant.provisioned"]


async def test_a_refused_login_leaves_an_event_with_its_reason(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    user_id = await signed_up(http, acme)
    for email, password in ((EMAIL, "a wrong password"), ("nobody@acme.example", PASSWORD)):
        assert refusal_of(await logged_in(http, acme, email, password)) == (401, "invalid-credentials")
    disabled = {"is_active": False}
    await http.patch(f"/v1/users/{user_id}", headers=await bearer(process, acme), json=disabled)
    assert refusal_of(await logged_in(http, acme, EMAIL, PASSWORD)) == (401, "invalid-credentials")
    told = events_of(settings, acme, action="login.refused")
    assert [(event["reason"], event["target_id"] and str(event["target_id"])) for event in told] == [
        ("wrong password", user_id),
        ("unknown user", None),
        ("disabled user", user_id),
    ]
    assert {(event["actor_kind"], event["actor_id"], event["outcome"]) for event in told} == {
        ("anonymous", None, "refused")
    }
    assert events_of(settings, globex, action="login.refused") == []


async def test_each_login_of_a_burst_leaves_its_event(
    http: httpx.AsyncClient, settings: Settings, acme: TenantRef
) -> None:
    await signed_up(http, acme)
    passwords = [PASSWORD if number % 3 == 0 else "a wrong password" for number in range(30)]
    answers = await asyncio.gather(*(logged_in(http, acme, EMAIL, password) for password in passwords))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [401] * 20
    for action, status in (("login.refused", 401), ("login.succeeded", 200)):
        told = {event["request_id"] for event in events_of(settings, acme, action=action)}
        assert told == {answer.headers["request-id"] for answer in answers if answer.status_code == status}


async def test_a_refused_token_request_leaves_an_event_and_an_issued_token_none(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    client, other = await api_client(process, acme, "items:read"), await api_client(process, acme)
    unknown = str(new_id())
    assert (await exchanged(http, acme, client)).status_code == 200
    wrong = await exchanged(http, acme, client, client_secret=other.client_secret)
    nobody = await exchanged(http, acme, client, client_id=unknown)
    too_much = await exchanged(http, acme, client, scope="items:write")
    disabled = {"is_active": False}
    await http.patch(f"/v1/clients/{client.client_id}", headers=await bearer(process, acme), json=disabled)
    gone = await exchanged(http, acme, client)
    assert [answer.status_code for answer in (wrong, nobody, too_much, gone)] == [401, 401, 400, 401]
    told = events_of(settings, acme, action="token.refused")
    assert [(event["reason"], str(event["target_id"]), event["request_id"]) for event in told] == [
        ("unknown client or wrong secret", str(client.client_id), wrong.headers["request-id"]),
        ("unknown client or wrong secret", unknown, nobody.headers["request-id"]),
        ("scope not held", str(client.client_id), too_much.headers["request-id"]),
        ("disabled client", str(client.client_id), gone.headers["request-id"]),
    ]
    assert [event for event in events_of(settings, acme) if event["action"] == "token.issued"] == []
    assert events_of(settings, globex, action="token.refused") == []


async def test_a_secret_that_cannot_be_one_of_the_tenant_is_refused_without_a_query_or_an_event(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    client, foreign = await api_client(process, acme), await api_client(process, globex)
    before = events_of(settings, acme)
    for secret in ("garbage", client.client_secret[:-1], foreign.client_secret):
        assert (await exchanged(http, acme, client, client_secret=secret)).status_code == 401
    assert events_of(settings, acme) == before


async def test_a_login_whose_event_cannot_be_written_gives_no_token(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    await signed_up(http, acme)
    with refusing_events(settings, acme):
        for password in (PASSWORD, "a wrong password"):
            answer = await logged_in(http, acme, EMAIL, password)
            assert answer.status_code == 422
            assert "access_token" not in answer.text
    assert (await logged_in(http, acme, EMAIL, PASSWORD)).status_code == 200
