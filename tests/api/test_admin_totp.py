"""The second factor of admins: asked for once it is confirmed, each code once, and demanded where a setting says so."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import pytest

from leasehold.config import Settings
from leasehold.http.request_log import RequestLog
from leasehold.main import create_app, running
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.process import Process
from tests.admins import ADMINS, AUTH, ME, Known, admin_headers, admin_login, from_elsewhere, known_admin
from tests.api.problems import refusal_of
from tests.api.test_second_factor import code_of, standing
from tests.audit import events_of
from tests.factories import admin
from tests.people import PASSWORD, headers_of

TENANTS = "/platform/v1/tenants"


@pytest.fixture
async def elsewhere(app: RequestLog, settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client whose failures are counted for nobody else."""
    async with from_elsewhere(app, f"https://{settings.base_domain}") as client:
        yield client


@pytest.fixture(autouse=True)
def stands() -> Generator[None]:
    with standing():
        yield


@pytest.fixture
async def known(http: httpx.AsyncClient, process: Process) -> Known:
    """An admin without a second factor."""
    return await known_admin(http, process)


async def set_up(http: httpx.AsyncClient, headers: dict[str, str]) -> tuple[str, list[str]]:
    """Add a second factor; return its secret and the recovery codes."""
    begun = await http.post(f"{ME}/totp", headers=headers, json={"password": PASSWORD})
    assert (begun.status_code, begun.headers["cache-control"]) == (201, "no-store")
    assert begun.json()["uri"].startswith("otpauth://totp/")
    body = {"code": code_of(begun.json()["secret"], steps=-1)}
    confirmed = await http.post(f"{ME}/totp/confirm", headers=headers, json=body)
    assert confirmed.status_code == 200, confirmed.text
    return begun.json()["secret"], confirmed.json()["recovery_codes"]


async def test_a_code_is_asked_for_once_the_app_is_confirmed_and_works_once(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, settings: Settings, known: Known
) -> None:
    headers = await admin_headers(http, known)
    begun = await http.post(f"{ME}/totp", headers=headers, json={"password": PASSWORD})
    assert (await admin_login(elsewhere, known.name)).status_code == 200
    wrong = await http.post(f"{ME}/totp/confirm", headers=headers, json={"code": "000000"})
    assert refusal_of(wrong) == (422, "wrong-code")
    secret, codes = await set_up(http, headers)
    assert secret != begun.json()["secret"]
    assert (await http.get(ME, headers=headers)).json()["has_totp"] is True
    assert refusal_of(await admin_login(elsewhere, known.name)) == (401, "second-factor-required")
    assert (await admin_login(elsewhere, known.name, code=code_of(secret))).status_code == 200
    again = await admin_login(elsewhere, known.name, code=code_of(secret))
    assert refusal_of(again) == (401, "wrong-second-factor")
    (event,) = [e for e in events_of(settings, None) if e["request_id"] == again.headers["request-id"]]
    assert (event["action"], event["reason"], event["target_id"]) == ("login.refused", "wrong code", known.id)
    assert len(set(codes)) == 10
    answers = [await admin_login(elsewhere, known.name, code=codes[0]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]


async def test_of_many_who_show_one_code_at_once_one_is_let_in(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, known: Known
) -> None:
    secret, codes = await set_up(http, await admin_headers(http, known))
    for code in (code_of(secret), codes[3]):
        answers = await asyncio.gather(*(admin_login(elsewhere, known.name, code=code) for _ in range(4)))
        assert [answer.status_code for answer in answers].count(200) == 1


async def test_it_is_removed_by_password_and_code(http: httpx.AsyncClient, known: Known) -> None:
    headers = await admin_headers(http, known)
    secret, codes = await set_up(http, headers)
    refused = await http.post(f"{ME}/totp", headers=headers, json={"password": PASSWORD})
    assert refusal_of(refused) == (409, "second-factor-exists")
    body: dict[str, Any] = {"password": PASSWORD, "code": "000000"}
    assert refusal_of(await http.post(f"{ME}/totp/remove", headers=headers, json=body)) == (422, "wrong-code")
    renewed = await http.post(f"{ME}/recovery-codes", headers=headers, json=body | {"code": codes[0]})
    assert renewed.status_code == 201
    used = await http.post(f"{ME}/totp/remove", headers=headers, json=body | {"code": codes[1]})
    assert refusal_of(used) == (422, "wrong-code")
    body["code"] = code_of(secret)
    assert (await http.post(f"{ME}/totp/remove", headers=headers, json=body)).status_code == 204
    assert (await admin_login(http, known.name)).status_code == 200
    assert refusal_of(await http.post(f"{ME}/recovery-codes", headers=headers, json=body)) == (409, "no-second-factor")


async def test_another_admin_removes_it_who_holds_as_much(
    http: httpx.AsyncClient, process: Process, known: Known
) -> None:
    await set_up(http, await admin_headers(http, known))
    weak, strong = await admin(process, "platform:admins:write"), await admin(process)
    refused = await http.delete(f"{ADMINS}/{known.id}/totp", headers=weak)
    assert refusal_of(refused) == (403, "insufficient-scope")
    assert (await http.delete(f"{ADMINS}/{known.id}/totp", headers=strong)).status_code == 204
    assert (await admin_login(http, known.name)).status_code == 200


async def test_where_it_is_demanded_an_admin_without_one_may_only_add_it(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"admin_totp_required": True}))
    process: Process = app.app.state.process
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with running(process), httpx.AsyncClient(transport=transport, base_url="https://leasehold.test") as http:
        known = await known_admin(http, process)
        issued = (await admin_login(http, known.name)).json()
        assert (issued["scope"], issued["must_add_totp"]) == ("", True)
        headers = headers_of(issued)
        assert refusal_of(await http.get(TENANTS, headers=headers)) == (403, "insufficient-scope")
        secret, _ = await set_up(http, headers)
        assert refusal_of(await http.get(TENANTS, headers=headers)) == (403, "insufficient-scope")
        renewed = (await http.post(f"{AUTH}/renew", headers=headers)).json()
        assert (renewed["must_add_totp"], renewed["scope"]) == (False, " ".join(sorted(PLATFORM_SCOPES)))
        assert (await http.get(TENANTS, headers=headers_of(renewed))).status_code == 200
        removed = await http.post(
            f"{ME}/totp/remove", headers=headers, json={"password": PASSWORD, "code": code_of(secret)}
        )
        assert refusal_of(removed) == (409, "second-factor-demanded")
        # One that another admin removes holds down a log-in that is there already.
        root = await admin(process)
        assert (await http.delete(f"{ADMINS}/{known.id}/totp", headers=root)).status_code == 204
        assert refusal_of(await http.get(TENANTS, headers=headers_of(renewed))) == (403, "insufficient-scope")
        assert (await admin_login(http, known.name)).json()["must_add_totp"] is True
