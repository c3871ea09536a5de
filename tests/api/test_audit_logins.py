"""Logins and refused token requests leave an event, though the answer to a refusal is an error."""

import asyncio

import httpx

from leasehold.config import Settings
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients.schemas import NewApiClient
from tests.api.problems import on, refusal_of
from tests.api.test_second_factor import code_of
from tests.audit import events_of, refusing_events
from tests.factories import api_client, bearer
from tests.people import PASSWORD, SAM, headers_of, logged_in, login, post, set_registration, user


async def signed_up(http: httpx.AsyncClient, process: Process, tenant: TenantRef) -> str:
    await set_registration(process, tenant, "open")
    made = await post(http, tenant, "register", {"email": SAM, "password": PASSWORD})
    return str(made.json()["id"])


async def exchanged(http: httpx.AsyncClient, tenant: TenantRef, client: NewApiClient, **form: str) -> httpx.Response:
    fields = {"grant_type": "client_credentials", "client_id": str(client.client_id)}
    fields["client_secret"] = client.client_secret
    return await http.post(on(tenant.slug, "/oauth/token"), data=fields | form)


async def test_a_sign_up_and_a_login_are_acts_of_the_user(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    user_id = await signed_up(http, process, acme)
    answer = await login(http, acme, SAM, PASSWORD)
    registered, came_in = events_of(settings, acme)[-2:]
    assert (registered["action"], registered["actor_kind"], str(registered["target_id"])) == (
        "user.registered",
        "anonymous",
        user_id,
    )
    assert (came_in["action"], came_in["outcome"], came_in["reason"]) == ("login.succeeded", "succeeded", None)
    assert (came_in["actor_kind"], str(came_in["actor_id"]), str(came_in["target_id"])) == ("user", user_id, user_id)
    assert came_in["request_id"] == answer.headers["request-id"]
    assert [event["action"] for event in events_of(settings, globex)] == ["tenant.provisioned"]


async def test_a_refused_login_leaves_an_event_with_its_reason(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    user_id = await signed_up(http, process, acme)
    for email, password in ((SAM, "a wrong password"), ("nobody@acme.example", PASSWORD)):
        assert refusal_of(await login(http, acme, email, password)) == (401, "invalid-credentials")
    disabled = {"is_active": False}
    await http.patch(f"/v1/users/{user_id}", headers=await bearer(process, acme), json=disabled)
    assert refusal_of(await login(http, acme, SAM, PASSWORD)) == (401, "invalid-credentials")
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
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    people = [f"user-{number}@acme.example" for number in range(24)]
    for person in people[:8]:
        await user(process, acme, person)
    answers = await asyncio.gather(*(login(http, acme, person) for person in people))
    assert sorted(answer.status_code for answer in answers) == [200] * 8 + [401] * 16
    for action, status in (("login.refused", 401), ("login.succeeded", 200)):
        told = {event["request_id"] for event in events_of(settings, acme, action=action)}
        assert told == {answer.headers["request-id"] for answer in answers if answer.status_code == status}


async def test_a_wrong_code_and_a_replayed_refresh_token_leave_events(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    sam = await user(process, acme)
    tokens = await logged_in(http, acme)
    refresh = {"refresh_token": tokens["refresh_token"]}
    second = (await post(http, acme, "refresh", refresh)).json()
    await post(http, acme, "refresh", {"refresh_token": second["refresh_token"]})
    replayed = await post(http, acme, "refresh", refresh)
    assert replayed.status_code == 401
    headers = headers_of(await logged_in(http, acme))
    secret = (await http.post("/v1/me/totp", headers=headers, json={"password": PASSWORD})).json()["secret"]
    code = {"code": code_of(secret)}
    assert (await http.post("/v1/me/totp/confirm", headers=headers, json=code)).status_code == 200
    wrong, missing = await login(http, acme, code="000000"), await login(http, acme)
    told = events_of(settings, acme)
    assert [
        (event["action"], event["reason"], str(event["target_id"]), event["request_id"])
        for event in told
        if event["outcome"] == "refused"
    ] == [
        ("refresh_token.replayed", "its session ends", str(sam.id), replayed.headers["request-id"]),
        ("login.refused", "wrong code", str(sam.id), wrong.headers["request-id"]),
        ("login.refused", "no code", str(sam.id), missing.headers["request-id"]),
    ]


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
    await signed_up(http, process, acme)
    with refusing_events(settings, acme):
        for password in (PASSWORD, "a wrong password"):
            answer = await login(http, acme, SAM, password)
            assert answer.status_code == 422
            assert "access_token" not in answer.text
    assert (await login(http, acme, SAM, PASSWORD)).status_code == 200
