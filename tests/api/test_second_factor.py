"""The second factor: set up with a password, confirmed by a first code, asked for at log-in, each code once."""

import asyncio
import base64
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import text

from leasehold.core import totp
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import bearer
from tests.people import PASSWORD, SAM, headers_of, logged_in, login, user


@contextmanager
def standing() -> Generator[None]:
    """Let the clock stand by which codes are made and taken, or a step could end in the middle of a test."""
    now = time.time()
    clock = SimpleNamespace(time=lambda: now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totp, "time", clock)
        patch.setitem(globals(), "time", clock)
        yield


@pytest.fixture(autouse=True)
def stands() -> Generator[None]:
    with standing():
        yield


def code_of(secret: str, *, steps: int = 0) -> str:
    """Return the code that an authenticator app shows, so many steps from now."""
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(time.time() + 30 * steps).decode()


async def begin(http: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, Any]:
    answer = await http.post("/v1/me/totp", headers=headers, json={"password": PASSWORD})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


async def set_up(http: httpx.AsyncClient, tenant: TenantRef) -> tuple[dict[str, str], str, list[str]]:
    """Return the headers, the secret and the recovery codes of a user with a second factor."""
    headers = headers_of(await logged_in(http, tenant))
    with standing():
        secret = (await begin(http, headers))["secret"]
        answer = await http.post("/v1/me/totp/confirm", headers=headers, json={"code": code_of(secret, steps=-1)})
    assert answer.status_code == 200, answer.text
    return headers, secret, answer.json()["recovery_codes"]


async def test_a_code_is_asked_for_once_the_app_is_confirmed(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await user(process, tenant)
    headers = headers_of(await logged_in(http, acme))
    made = await begin(http, headers)
    assert made["uri"].startswith("otpauth://totp/")
    assert SAM.replace("@", "%40") in made["uri"]
    assert (await login(http, acme)).status_code == 200
    assert (await http.get("/v1/me", headers=headers)).json()["profile"]["has_totp"] is False
    confirmed = await http.post("/v1/me/totp/confirm", headers=headers, json={"code": code_of(made["secret"])})
    assert len(set(confirmed.json()["recovery_codes"])) == 10
    assert refusal_of(await login(http, acme)) == (401, "second-factor-required")
    assert (await login(http, acme, code=code_of(made["secret"], steps=1))).status_code == 200
    assert (await http.get("/v1/me", headers=headers)).json()["profile"]["has_totp"] is True
    assert (await login(http, globex)).status_code == 200


async def test_a_code_works_once(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    await user(process, acme)
    _, secret, _ = await set_up(http, acme)
    code = code_of(secret)
    assert (await login(http, acme, code=code)).status_code == 200
    assert refusal_of(await login(http, acme, code=code)) == (401, "wrong-second-factor")
    assert refusal_of(await login(http, acme, code=code_of(secret, steps=-1))) == (401, "wrong-second-factor")
    assert (await login(http, acme, code=code_of(secret, steps=1))).status_code == 200


async def test_of_a_burst_with_one_code_one_gets_in(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    await user(process, acme)
    _, secret, codes = await set_up(http, acme)
    for code in (code_of(secret), codes[0]):
        answers = await asyncio.gather(*(login(http, acme, code=code) for _ in range(5)))
        assert [answer.status_code for answer in answers].count(200) == 1
        async with open_tenant_session(process.database, acme) as session:
            await session.execute(text("DELETE FROM attempts"))


async def test_a_recovery_code_works_once_however_it_is_typed(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    _, _, codes = await set_up(http, acme)
    assert (await login(http, acme, code=codes[0].upper().replace("-", " "))).status_code == 200
    assert refusal_of(await login(http, acme, code=codes[0])) == (401, "wrong-second-factor")
    assert (await login(http, acme, code=codes[1])).status_code == 200


async def test_wrong_codes_are_counted_like_wrong_passwords(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    _, secret, _ = await set_up(http, acme)
    for _ in range(5):
        assert refusal_of(await login(http, acme, code="000000")) == (401, "wrong-second-factor")
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("UPDATE attempts SET blocked_until_at = blocked_until_at + interval '1 minute'"))
    assert refusal_of(await login(http, acme, code=code_of(secret))) == (429, "too-many-attempts")


async def test_a_wrong_password_is_told_nothing_of_the_second_factor(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    _, secret, _ = await set_up(http, acme)
    for more in ({}, {"code": code_of(secret)}, {"code": "000000"}):
        assert refusal_of(await login(http, acme, SAM, "wrong", **more)) == (401, "invalid-credentials")


async def test_only_who_has_password_and_code_removes_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    headers, secret, codes = await set_up(http, acme)

    async def remove(password: str, code: str) -> httpx.Response:
        return await http.post("/v1/me/totp/remove", headers=headers, json={"password": password, "code": code})

    assert refusal_of(await remove("wrong", code_of(secret))) == (422, "wrong-password")
    assert refusal_of(await remove(PASSWORD, "000000")) == (422, "wrong-code")
    assert (await remove(PASSWORD, codes[0])).status_code == 204
    assert (await login(http, acme)).status_code == 200
    assert refusal_of(await remove(PASSWORD, codes[1])) == (409, "no-second-factor")


async def test_it_is_set_up_with_the_password_alone_and_not_twice(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    headers = headers_of(await logged_in(http, acme))
    refused = await http.post("/v1/me/totp", headers=headers, json={"password": "wrong"})
    assert refusal_of(refused) == (422, "wrong-password")
    first, second = await begin(http, headers), await begin(http, headers)
    wrong = await http.post("/v1/me/totp/confirm", headers=headers, json={"code": code_of(first["secret"])})
    assert refusal_of(wrong) == (422, "wrong-code")
    right = await http.post("/v1/me/totp/confirm", headers=headers, json={"code": code_of(second["secret"])})
    assert right.status_code == 200
    again = await http.post("/v1/me/totp", headers=headers, json={"password": PASSWORD})
    assert refusal_of(again) == (409, "second-factor-exists")


async def test_new_recovery_codes_replace_the_old_ones(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    headers, _, codes = await set_up(http, acme)
    body = {"password": PASSWORD, "code": codes[0]}
    renewed = (await http.post("/v1/me/recovery-codes", headers=headers, json=body)).json()["recovery_codes"]
    assert set(renewed) & set(codes) == set()
    assert refusal_of(await login(http, acme, code=codes[1])) == (401, "wrong-second-factor")
    assert (await login(http, acme, code=renewed[0])).status_code == 200


async def test_an_admin_removes_it_for_who_has_lost_everything(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    sam = await user(process, acme)
    await set_up(http, acme)
    headers = await bearer(process, globex)
    assert refusal_of(await http.delete(f"/v1/users/{sam.id}/totp", headers=headers)) == (404, "not-found")
    headers = await bearer(process, acme, "users:read")
    assert (await http.delete(f"/v1/users/{sam.id}/totp", headers=headers)).status_code == 403
    headers = await bearer(process, acme)
    assert (await http.delete(f"/v1/users/{sam.id}/totp", headers=headers)).status_code == 204
    assert (await login(http, acme)).status_code == 200


async def test_neither_secret_nor_codes_are_stored_as_they_are(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    _, secret, codes = await set_up(http, acme)
    async with open_tenant_session(process.database, acme) as session:
        stored = " ".join((await session.scalars(text("SELECT totp::text FROM totp"))).all())
        stored += " ".join((await session.scalars(text("SELECT r::text FROM recovery_codes r"))).all())
    assert base64.b32decode(secret).hex() not in stored
    assert [code for code in codes if code in stored or code.encode().hex() in stored] == []


@pytest.mark.parametrize("code", ["", "0", "é" * 6, "\x00", "1" * 33])
async def test_any_text_as_a_code_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, code: str
) -> None:
    await user(process, acme)
    await set_up(http, acme)
    assert (await login(http, acme, code=code)).status_code in {401, 422}
