"""`/platform/v1/auth/*`: how admins choose a password, log in, stay logged in and log out."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.attempts import service as attempts
from leasehold.core.database import platform_session
from leasehold.http.request_log import RequestLog
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.admins import ADMINS, AUTH, ME, Known, admin_headers, admin_login, from_elsewhere, known_admin
from tests.api.problems import on, pointers_of, refusal_of
from tests.audit import events_of
from tests.factories import admin, bearer, new_slug
from tests.people import PASSWORD, headers_of

READ = "platform:tenants:read"
TENANTS = "/platform/v1/tenants"


@pytest.fixture
async def elsewhere(app: RequestLog, settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client whose failures are counted for nobody else."""
    async with from_elsewhere(app, f"https://{settings.base_domain}") as client:
        yield client


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes hours of the seconds that who fails must wait: the first would be over before a slow machine asks again."""
    wait_after = attempts.wait_after
    monkeypatch.setattr(attempts, "wait_after", lambda failures, *, free: 3600 * wait_after(failures, free=free))


async def change(process: Process, statement: str, known: Known) -> None:
    async with platform_session(process.database) as session:
        await session.execute(text(statement), {"id": known.id})


async def test_a_password_is_chosen_once_by_the_secret_that_another_admin_hands_over(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, process: Process
) -> None:
    root, name = await admin(process), new_slug()
    made = await http.post(ADMINS, headers=root, json={"name": name, "scopes": [READ]})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    secret = made.json()["setup_secret"]
    assert secret.startswith("lh_setup_")
    assert refusal_of(await admin_login(elsewhere, name)) == (401, "invalid-credentials")
    body = {"setup_secret": secret, "password": PASSWORD}
    assert (await elsewhere.post(f"{AUTH}/password", json=body)).status_code == 204
    again = await elsewhere.post(f"{AUTH}/password", json=body)
    assert refusal_of(again) == (422, "invalid-setup-secret")
    assert pointers_of(again) == ["/setup_secret"]
    issued = await admin_login(elsewhere, name)
    assert (issued.status_code, issued.headers["cache-control"]) == (200, "no-store")
    assert set(issued.json()) == {"access_token", "token_type", "expires_in", "scope", "must_add_totp"}
    assert (issued.json()["scope"], issued.json()["must_add_totp"]) == (READ, False)
    headers = headers_of(issued.json())
    assert (await http.get(TENANTS, headers=headers)).status_code == 200
    assert refusal_of(await http.post(TENANTS, headers=headers, json={})) == (403, "insufficient-scope")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE platform.admin_logins SET setup_expires_at = now() WHERE admin_id = :id",
        "UPDATE platform.admins SET is_active = false WHERE id = :id",
    ],
)
async def test_a_setup_secret_that_is_late_or_a_disabled_admins_sets_nothing(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, process: Process, statement: str
) -> None:
    known = await known_admin(elsewhere, process)
    setup = await http.post(f"{ADMINS}/{known.id}/password-setup", headers=await admin(process))
    await change(process, statement, known)
    body = {"setup_secret": setup.json()["setup_secret"], "password": "another horse battery"}
    assert refusal_of(await elsewhere.post(f"{AUTH}/password", json=body)) == (422, "invalid-setup-secret")


async def test_two_who_use_a_setup_secret_at_once_do_not_both_set_a_password(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, process: Process
) -> None:
    known = await known_admin(elsewhere, process)
    setup = await http.post(f"{ADMINS}/{known.id}/password-setup", headers=await admin(process))
    bodies = [{"setup_secret": setup.json()["setup_secret"], "password": f"horse battery {n}"} for n in range(4)]
    answers = await asyncio.gather(*(elsewhere.post(f"{AUTH}/password", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [204, 422, 422, 422]
    (set_one,) = [n for n, answer in enumerate(answers) if answer.status_code == 204]
    assert (await admin_login(elsewhere, known.name, f"horse battery {set_one}")).status_code == 200


@pytest.mark.usefixtures("long_waits")
async def test_guessed_setup_secrets_are_counted_for_their_address(elsewhere: httpx.AsyncClient) -> None:
    body = {"setup_secret": "lh_setup_x", "password": PASSWORD}
    answers = [refusal_of(await elsewhere.post(f"{AUTH}/password", json=body)) for _ in range(31)]
    assert answers == [(422, "invalid-setup-secret")] * 30 + [(429, "too-many-attempts")]


async def test_every_refused_login_is_one_answer_and_leaves_its_reason_in_the_log(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, process: Process, settings: Settings
) -> None:
    known, disabled, unset = await known_admin(http, process), await known_admin(http, process), new_slug()
    await change(process, "UPDATE platform.admins SET is_active = false WHERE id = :id", disabled)
    await http.post(ADMINS, headers=await admin(process), json={"name": unset, "scopes": []})
    tried = [
        (new_slug(), PASSWORD, "unknown admin"),
        (unset, PASSWORD, "no password yet"),
        (known.name, "wrong horse battery", "wrong password"),
        (disabled.name, PASSWORD, "disabled admin"),
    ]
    for name, password, reason in tried:
        refused = await admin_login(elsewhere, name, password)
        assert refusal_of(refused) == (401, "invalid-credentials")
        assert refused.json()["detail"] == "The account or the password is wrong."
        (event,) = [e for e in events_of(settings, None) if e["request_id"] == refused.headers["request-id"]]
        assert (event["action"], event["outcome"], event["reason"]) == ("login.refused", "refused", reason)
        assert (event["actor_kind"], event["target_kind"]) == ("anonymous", "admin")


@pytest.mark.usefixtures("long_waits")
async def test_an_admin_waits_after_five_failures_and_a_burst_gains_nothing(
    elsewhere: httpx.AsyncClient, http: httpx.AsyncClient, process: Process
) -> None:
    known = await known_admin(http, process)
    guesses = (admin_login(elsewhere, known.name, "wrong horse battery") for _ in range(20))
    answers = [refusal_of(answer) for answer in await asyncio.gather(*guesses)]
    assert sorted(answers) == [(401, "invalid-credentials")] * 5 + [(429, "too-many-attempts")] * 15
    refused = await admin_login(http, known.name)
    assert refusal_of(refused) == (429, "too-many-attempts")
    assert 3500 < int(refused.headers["retry-after"]) <= 3600


async def test_a_login_reaches_the_platform_and_no_tenant(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await admin_headers(http, await known_admin(http, process))
    assert (await http.get(TENANTS, headers=headers)).status_code == 200
    assert refusal_of(await http.get(on(acme.slug, TENANTS), headers=headers)) == (404, "not-found")
    assert refusal_of(await http.get(on(acme.slug, "/v1/items"), headers=headers)) == (401, "invalid-token")
    assert refusal_of(await http.get(TENANTS, headers=await bearer(process, acme))) == (401, "invalid-token")
    login = await http.post(on(acme.slug, f"{AUTH}/login"), json={"name": "x", "password": PASSWORD})
    assert refusal_of(login) == (404, "not-found")


async def test_a_login_is_renewed_until_it_is_over(http: httpx.AsyncClient, process: Process) -> None:
    known = await known_admin(http, process)
    first = await admin_headers(http, known)
    renewed = await http.post(f"{AUTH}/renew", headers=first)
    assert (renewed.status_code, renewed.headers["cache-control"]) == (200, "no-store")
    second = headers_of(renewed.json())
    me, again = [(await http.get(ME, headers=headers)).json() for headers in (first, second)]
    assert me["session_id"] == again["session_id"]
    assert (me["name"], me["scopes"], me["has_totp"]) == (known.name, sorted(PLATFORM_SCOPES), False)
    await change(process, "UPDATE platform.admin_sessions SET expires_at = now() WHERE admin_id = :id", known)
    for headers in (first, second):
        assert refusal_of(await http.post(f"{AUTH}/renew", headers=headers)) == (401, "invalid-token")
        assert refusal_of(await http.get(TENANTS, headers=headers)) == (401, "invalid-token")


@pytest.mark.parametrize(("path", "others"), [("logout", 200), ("logout-all", 401)])
async def test_logging_out_ends_one_login_or_all(
    http: httpx.AsyncClient, process: Process, path: str, others: int
) -> None:
    known = await known_admin(http, process)
    here, there = [await admin_headers(http, known) for _ in range(2)]
    assert (await http.post(f"{AUTH}/{path}", headers=here)).status_code == 204
    assert refusal_of(await http.get(ME, headers=here)) == (401, "invalid-token")
    assert (await http.get(ME, headers=there)).status_code == others


async def test_what_an_admin_may_is_read_with_each_request(http: httpx.AsyncClient, process: Process) -> None:
    known, root = await known_admin(http, process), await admin(process)
    login, script = await admin_headers(http, known), await admin(process, READ, name=known.name)
    for headers in (login, script):
        assert (await http.get(TENANTS, headers=headers)).status_code == 200
    taken = await http.patch(f"{ADMINS}/{known.id}", headers=root, json={"scopes": ["platform:audit:read"]})
    assert taken.json()["scopes"] == ["platform:audit:read"]
    for headers in (login, script):
        assert refusal_of(await http.get(TENANTS, headers=headers)) == (403, "insufficient-scope")
    assert (await http.get(ME, headers=login)).json()["scopes"] == ["platform:audit:read"]


async def test_a_login_gains_nothing_that_its_admin_gets_later_until_it_is_renewed(
    http: httpx.AsyncClient, process: Process
) -> None:
    known, root = await known_admin(http, process, scopes=[]), await admin(process)
    login = await admin_headers(http, known)
    await http.patch(f"{ADMINS}/{known.id}", headers=root, json={"scopes": [READ]})
    assert refusal_of(await http.get(TENANTS, headers=login)) == (403, "insufficient-scope")
    renewed = headers_of((await http.post(f"{AUTH}/renew", headers=login)).json())
    assert (await http.get(TENANTS, headers=renewed)).status_code == 200


async def test_a_new_password_ends_the_other_logins(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, process: Process
) -> None:
    known = await known_admin(http, process)
    here, there = [await admin_headers(http, known) for _ in range(2)]

    async def set_password(current: str, new: str) -> httpx.Response:
        body = {"current_password": current, "new_password": new}
        return await http.put(f"{ME}/password", headers=here, json=body)

    wrong = await set_password("wrong horse battery", "another horse")
    assert (refusal_of(wrong), pointers_of(wrong)) == ((422, "wrong-password"), ["/current_password"])
    common = await set_password(PASSWORD, "password123")
    assert (refusal_of(common), pointers_of(common)) == ((422, "common-password"), ["/new_password"])
    assert (await set_password(PASSWORD, "another horse battery")).status_code == 204
    assert (await http.get(ME, headers=here)).status_code == 200
    assert refusal_of(await http.get(ME, headers=there)) == (401, "invalid-token")
    assert refusal_of(await admin_login(elsewhere, known.name)) == (401, "invalid-credentials")
    assert (await admin_login(elsewhere, known.name, "another horse battery")).status_code == 200


@pytest.mark.usefixtures("long_waits")
async def test_a_password_cannot_be_guessed_through_a_stolen_login(http: httpx.AsyncClient, process: Process) -> None:
    headers = await admin_headers(http, await known_admin(http, process))
    body: dict[str, Any] = {"current_password": "wrong horse battery", "new_password": "another horse"}
    answers = [refusal_of(await http.put(f"{ME}/password", headers=headers, json=body)) for _ in range(6)]
    assert answers[:5] == [(422, "wrong-password")] * 5
    assert answers[5] == (429, "too-many-attempts")


async def test_a_token_names_a_session_that_is_its_own_admins(http: httpx.AsyncClient, process: Process) -> None:
    mine, theirs = [await known_admin(http, process) for _ in range(2)]
    session_id = (await http.get(ME, headers=await admin_headers(http, theirs))).json()["session_id"]
    token = process.tokens.issue_for_platform(
        admin_id=mine.id, session_id=UUID(session_id), scopes=frozenset(PLATFORM_SCOPES)
    )
    refused = await http.get(ME, headers={"Authorization": f"Bearer {token}"})
    assert refusal_of(refused) == (401, "invalid-token")
