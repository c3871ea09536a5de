"""What users change of themselves, and what they confirm by mail."""

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

NEW = "battery horse correct"


@pytest.fixture
def mailbox(process: Process, tmp_path_factory: pytest.TempPathFactory) -> Mailbox:
    """Where the mails of this test go."""
    return Mailbox(process, tmp_path_factory.mktemp("mail"))


async def test_a_user_renames_itself_and_no_other(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await user(process, tenant)
    ours, theirs = headers_of(await logged_in(http, acme)), headers_of(await logged_in(http, globex))
    changed = await http.patch("/v1/me", headers=ours, json={"name": "Sam the First"})
    assert changed.json()["profile"]["name"] == "Sam the First"
    assert (await http.get("/v1/me", headers=theirs)).json()["profile"]["name"] == "Sam Doe"
    for body in ({"role": "owner"}, {"is_active": True}, {"email_confirmed_at": None}):
        assert refusal_of(await http.patch("/v1/me", headers=ours, json=body)) == (422, "validation-failed")


async def test_a_client_is_no_user(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    headers = await bearer(process, acme)
    for method, path, body in (
        ("PATCH", "/v1/me", {"name": "x"}),
        ("PUT", "/v1/me/password", {"current_password": PASSWORD, "new_password": NEW}),
        ("POST", "/v1/me/totp", {"password": PASSWORD}),
        ("POST", "/v1/me/email-confirmation", None),
        ("GET", "/v1/me/sessions", None),
    ):
        refused = await http.request(method, path, headers=headers, json=body)
        assert refusal_of(refused) == (403, "users-only"), path


async def test_a_new_password_ends_the_other_sessions(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    mine, other = await logged_in(http, acme), await logged_in(http, acme)

    async def change(current: str, new: str) -> httpx.Response:
        body = {"current_password": current, "new_password": new}
        return await http.put("/v1/me/password", headers=headers_of(mine), json=body)

    wrong = await change("wrong", NEW)
    assert (refusal_of(wrong), pointers_of(wrong)) == ((422, "wrong-password"), ["/current_password"])
    common = await change(PASSWORD, "Football")
    assert (refusal_of(common), pointers_of(common)) == ((422, "common-password"), ["/new_password"])
    assert (await change(PASSWORD, NEW)).status_code == 204
    await process.feed.caught_up()
    assert (await http.get("/v1/me", headers=headers_of(mine))).status_code == 200
    assert (await http.get("/v1/me", headers=headers_of(other))).status_code == 401
    assert refusal_of(await login(http, acme)) == (401, "invalid-credentials")
    assert (await login(http, acme, SAM, NEW)).status_code == 200


async def test_a_stolen_session_cannot_guess_the_password(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    headers = headers_of(await logged_in(http, acme))
    body = {"current_password": "wrong", "new_password": NEW}
    answers = [await http.put("/v1/me/password", headers=headers, json=body) for _ in range(5)]
    assert {refusal_of(answer) for answer in answers} == {(422, "wrong-password")}
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("UPDATE attempts SET blocked_until_at = blocked_until_at + interval '1 minute'"))
    assert refusal_of(await http.put("/v1/me/password", headers=headers, json=body)) == (429, "too-many-attempts")


@pytest.mark.parametrize("password", ["password", "PASSWORD", "12345678", "iloveyou", "Superman"])
async def test_common_passwords_are_refused_wherever_one_is_chosen(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, password: str
) -> None:
    await set_registration(process, acme, "open")
    refused = await post(http, acme, "register", {"email": SAM, "password": password})
    assert (refusal_of(refused), pointers_of(refused)) == ((422, "common-password"), ["/password"])
    body = {"email": SAM, "password": password}
    refused = await http.post("/v1/users", headers=await bearer(process, acme), json=body)
    assert refusal_of(refused) == (422, "common-password")


async def test_a_hash_of_other_parameters_is_renewed_at_log_in(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    weak = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$"
    async with open_tenant_session(process.database, acme) as session:
        strong = await session.scalar(text("SELECT password_hash FROM users"))
        assert strong is not None
        assert "m=64,t=1" in strong
    hasher = type(process.passwords)(concurrency=1, memory_kib=8, iterations=2)
    outdated = await hasher.hash(PASSWORD)
    hasher.close()
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text("UPDATE users SET password_hash = :hash"), {"hash": outdated})
    answers = await asyncio.gather(*(login(http, acme) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    async with open_tenant_session(process.database, acme) as session:
        renewed = await session.scalar(text("SELECT password_hash FROM users"))
    assert renewed is not None
    assert "m=64,t=1" in renewed
    assert weak not in renewed


async def test_a_forgotten_password_is_set_once_by_mail_and_ends_all_sessions(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await user(process, tenant)
    tokens, theirs = await logged_in(http, acme), await logged_in(http, globex)
    assert (await post(http, acme, "forgotten-password", {"email": "SAM@acme.example"})).status_code == 204
    (mail,) = await mailbox.deliver(acme)
    assert (mail["To"], await mailbox.deliver(globex)) == (SAM, [])
    secret = secret_in(mail)
    body = {"token": secret, "password": NEW}
    assert refusal_of(await post(http, globex, "password-reset", body)) == (422, "invalid-confirmation")
    for known in (f"{acme.slug}-1", "sam@acme.example"):
        refused = await post(http, acme, "password-reset", body | {"password": known})
        assert refusal_of(refused) == (422, "common-password"), known
    common = await post(http, acme, "password-reset", body | {"password": "password1"})
    assert refusal_of(common) == (422, "common-password")
    answers = await asyncio.gather(*(post(http, acme, "password-reset", body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204, 422, 422, 422, 422]
    await process.feed.caught_up()
    assert (await http.get("/v1/me", headers=headers_of(tokens))).status_code == 401
    assert (await http.get("/v1/me", headers=headers_of(theirs))).status_code == 200
    fresh = (await login(http, acme, SAM, NEW)).json()
    profile = (await http.get("/v1/me", headers=headers_of(fresh))).json()["profile"]
    assert profile["email_confirmed_at"] is not None


async def test_asking_for_a_password_answers_the_same_whether_there_is_a_user_or_not(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await user(process, acme)
    known = await post(http, acme, "forgotten-password", {"email": SAM})
    unknown = await post(http, acme, "forgotten-password", {"email": "nobody@acme.example"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (204, b"")
    assert set(known.headers) == set(unknown.headers)
    assert [mail["To"] for mail in await mailbox.deliver(acme)] == [SAM]


async def test_only_the_latest_secret_is_good_and_only_for_an_hour(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await user(process, acme)
    secrets: list[str] = []
    for _ in range(2):
        await post(http, acme, "forgotten-password", {"email": SAM})
        secrets += [secret_in(mail) for mail in await mailbox.deliver(acme)]
    first, second = ({"token": secret, "password": NEW} for secret in secrets)
    assert refusal_of(await post(http, acme, "password-reset", first)) == (422, "invalid-confirmation")
    confirmed = await post(http, acme, "email-confirmation", {"token": secrets[1]})
    assert refusal_of(confirmed) == (422, "invalid-confirmation")
    async with open_tenant_session(process.database, acme) as session:
        left = await session.scalar(text("SELECT expires_at - now() FROM confirmations"))
        assert left is not None
        assert 3500 < left.total_seconds() <= 3600
        await session.execute(text("UPDATE confirmations SET expires_at = now() - interval '1 second'"))
    assert refusal_of(await post(http, acme, "password-reset", second)) == (422, "invalid-confirmation")


async def test_a_reset_lets_an_account_in_that_had_to_wait(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await user(process, acme)
    for _ in range(5):
        await login(http, acme, SAM, "wrong")
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(
            text("UPDATE attempts SET blocked_until_at = now() + interval '1 hour' WHERE blocked_until_at > last_at")
        )
    await post(http, acme, "forgotten-password", {"email": SAM})
    (mail,) = await mailbox.deliver(acme)
    assert refusal_of(await login(http, acme)) == (429, "too-many-attempts")
    await post(http, acme, "password-reset", {"token": secret_in(mail), "password": NEW})
    assert (await login(http, acme, SAM, NEW)).status_code == 200


async def test_who_signs_up_confirms_the_address_by_mail(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await set_registration(process, acme, "open")
    made = await post(http, acme, "register", {"email": SAM, "password": PASSWORD})
    assert made.json()["email_confirmed_at"] is None
    (mail,) = await mailbox.deliver(acme)
    headers = headers_of(await logged_in(http, acme))
    assert (await post(http, acme, "email-confirmation", {"token": secret_in(mail)})).status_code == 204
    assert (await http.get("/v1/me", headers=headers)).json()["profile"]["email_confirmed_at"] is not None
    again = await post(http, acme, "email-confirmation", {"token": secret_in(mail)})
    assert refusal_of(again) == (422, "invalid-confirmation")
    assert (await http.post("/v1/me/email-confirmation", headers=headers)).status_code == 204
    assert len(await mailbox.deliver(acme)) == 1


async def test_a_new_address_holds_once_it_is_confirmed(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await user(process, acme)
    headers = headers_of(await logged_in(http, acme))
    changed = await http.patch("/v1/me", headers=headers, json={"email": "New@Acme.example", "password": PASSWORD})
    assert changed.json()["profile"]["email"] == SAM
    (mail,) = await mailbox.deliver(acme)
    assert mail["To"] == "new@acme.example"
    assert (await post(http, acme, "email-confirmation", {"token": secret_in(mail)})).status_code == 204
    assert (await login(http, acme, "new@acme.example")).status_code == 200
    assert refusal_of(await login(http, acme)) == (401, "invalid-credentials")


async def test_who_has_a_token_and_not_the_password_takes_no_account_over(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    """Whoever confirms an address can set a new password by mail: a stolen token would be as good as the account."""
    await user(process, acme)
    headers = headers_of(await logged_in(http, acme))
    for more in ({}, {"password": NEW}):
        refused = await http.patch("/v1/me", headers=headers, json={"email": "thief@acme.example", "name": "T"} | more)
        assert refusal_of(refused) == (422, "wrong-password")
    assert await mailbox.deliver(acme) == []
    assert (await http.get("/v1/me", headers=headers)).json()["profile"]["name"] == "Sam Doe"


async def test_a_new_password_takes_back_a_change_of_address_that_waits(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    """Who knew the former password would confirm an address of their own, and set another password by mail."""
    await user(process, acme)
    password = PASSWORD
    for number, by_mail in enumerate((False, True)):
        headers = headers_of(await logged_in(http, acme, password=password))
        body = {"email": "thief@acme.example", "password": password}
        assert (await http.patch("/v1/me", headers=headers, json=body)).status_code == 200
        (mail,) = await mailbox.deliver(acme)
        body = {"current_password": password, "new_password": (password := f"{NEW} {number}")}
        if by_mail:
            await post(http, acme, "forgotten-password", {"email": SAM})
            (reset,) = await mailbox.deliver(acme)
            body = {"token": secret_in(reset), "password": password}
            assert (await post(http, acme, "password-reset", body)).status_code == 204
        else:
            assert (await http.put("/v1/me/password", headers=headers, json=body)).status_code == 204
        refused = await post(http, acme, "email-confirmation", {"token": secret_in(mail)})
        assert refusal_of(refused) == (422, "invalid-confirmation")


async def test_what_lies_in_the_former_mailbox_sets_no_password(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await user(process, acme)
    headers = headers_of(await logged_in(http, acme))
    await http.patch("/v1/me", headers=headers, json={"email": "new@acme.example", "password": PASSWORD})
    (mail,) = await mailbox.deliver(acme)
    await post(http, acme, "forgotten-password", {"email": SAM})
    (reset,) = await mailbox.deliver(acme)
    assert (await post(http, acme, "email-confirmation", {"token": secret_in(mail)})).status_code == 204
    refused = await post(http, acme, "password-reset", {"token": secret_in(reset), "password": NEW})
    assert refusal_of(refused) == (422, "invalid-confirmation")


async def test_an_address_that_was_taken_meanwhile_is_refused(
    http: httpx.AsyncClient, process: Process, mailbox: Mailbox, acme: TenantRef
) -> None:
    await user(process, acme)
    headers = headers_of(await logged_in(http, acme))
    await http.patch("/v1/me", headers=headers, json={"email": "new@acme.example", "password": PASSWORD})
    (mail,) = await mailbox.deliver(acme)
    await user(process, acme, "new@acme.example")
    refused = await post(http, acme, "email-confirmation", {"token": secret_in(mail)})
    assert refusal_of(refused) == (409, "email-taken")


async def test_no_secret_waits_in_the_queue(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    await user(process, acme)
    await post(http, acme, "forgotten-password", {"email": SAM})
    headers = await bearer(process, acme)
    await http.post("/v1/invitations", headers=headers, json={"email": "x@acme.example"})
    async with process.database.engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT arguments::text FROM platform.jobs WHERE tenant_id = :id"), {"id": acme.id}
        )
        arguments = rows.scalars().all()
    assert len(arguments) == 2
    assert [one for one in arguments if "lh_" in one or "@" in one] == []
