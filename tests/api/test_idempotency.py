"""A POST with an Idempotency-Key is carried out once, always with two tenants."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import pointers_of, problem_of, refusal_of
from tests.factories import api_client, bearer, item
from tests.people import headers_of, logged_in, user

KEY = "0b9c2f1e-6f0d-4c0e-9a50-3f2f0c1d7a11"


def with_key(headers: dict[str, str], key: str = KEY) -> dict[str, str]:
    return {**headers, "Idempotency-Key": key}


async def rows(process: Process, tenant: TenantRef, table: str = "idempotency_keys") -> list[dict[str, Any]]:
    """Return what a table of a tenant holds, in the order it was made."""
    async with open_tenant_session(process.database, tenant) as session:
        found = await session.execute(text(f"SELECT to_jsonb(t) FROM {table} t ORDER BY t.id"))
        return [row[0] for row in found]


async def test_the_same_request_again_gets_the_same_answer_and_does_nothing(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = with_key(await bearer(process, tenant))
        first = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        again = [await http.post("/v1/items", headers=headers, json={"title": "Desk"}) for _ in range(2)]
        assert first.status_code == 201
        assert "idempotent-replayed" not in first.headers
        for replayed in again:
            assert (replayed.status_code, replayed.content) == (201, first.content)
            assert replayed.headers["content-type"] == first.headers["content-type"] == "application/json"
            assert replayed.headers["idempotent-replayed"] == "true"
            assert replayed.headers["request-id"] != first.headers["request-id"]
        assert [row["title"] for row in await rows(process, tenant, "items")] == ["Desk"]


async def test_without_the_header_each_request_is_carried_out_and_nothing_is_kept(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        answers = [await http.post("/v1/items", headers=headers, json={"title": "Desk"}) for _ in range(2)]
        assert len({answer.json()["id"] for answer in answers}) == 2
        assert await rows(process, tenant) == []


async def test_another_key_is_another_request(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        for key in ("one", "two"):
            made = await http.post("/v1/items", headers=with_key(headers, key), json={"title": "Desk"})
            assert "idempotent-replayed" not in made.headers
        assert len(await rows(process, tenant, "items")) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/items", {"title": "Table"}),
        ("/v1/items", {"title": "Desk", "description": ""}),
        ("/v1/items?x=1", {"title": "Desk"}),
        ("/v1/users", {"email": "a@example.org"}),
    ],
)
async def test_a_key_that_was_used_for_another_request_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, path: str, body: dict[str, str]
) -> None:
    for tenant in (acme, globex):
        headers = with_key(await bearer(process, tenant))
        first = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        refused = await http.post(path, headers=headers, json=body)
        assert refusal_of(refused) == (422, "idempotency-key-reused")
        assert pointers_of(refused) == []
        assert len(await rows(process, tenant, "items")) == 1
        assert await rows(process, tenant, "users") == []
        again = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        assert again.content == first.content


async def test_the_same_address_with_another_id_is_another_request(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = with_key(await bearer(process, tenant))
        one, two = [await api_client(process, tenant) for _ in range(2)]
        assert (await http.post(f"/v1/clients/{one.client_id}/rotate", headers=headers, json={})).status_code == 200
        refused = await http.post(f"/v1/clients/{two.client_id}/rotate", headers=headers, json={})
        assert refusal_of(refused) == (422, "idempotency-key-reused")


async def test_two_clients_of_a_tenant_may_use_the_same_key(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        one, two = [with_key(await bearer(process, tenant)) for _ in range(2)]
        answers = [
            await http.post("/v1/items", headers=headers, json={"title": title})
            for headers, title in ((one, "Desk"), (two, "Desk"), (one, "Desk"), (two, "Desk"))
        ]
        ids = [answer.json()["id"] for answer in answers]
        assert ids[0] != ids[1]
        assert ids[2:] == ids[:2]
        assert len(await rows(process, tenant, "items")) == 2


async def test_a_user_and_a_client_may_use_the_same_key(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        client = await bearer(process, tenant)
        await user(process, tenant)
        for headers in (client, headers_of(await logged_in(http, tenant))):
            created = await http.post("/v1/items", headers=with_key(headers), json={"title": "Desk"})
            assert "idempotent-replayed" not in created.headers
        assert len(await rows(process, tenant, "items")) == 2


async def test_a_request_that_was_refused_may_be_mended_and_sent_with_the_same_key(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = with_key(await bearer(process, tenant))
        other = await bearer(process, tenant)
        assert (await http.post("/v1/users", headers=other, json={"email": "a@example.org"})).status_code == 201
        assert refusal_of(await http.post("/v1/users", headers=headers, json={"email": "a"}))[0] == 422
        assert refusal_of(await http.post("/v1/users", headers=headers, content=b"{"))[0] == 415
        taken = await http.post("/v1/users", headers=headers, json={"email": "a@example.org"})
        assert refusal_of(taken) == (409, "email-taken")
        assert await rows(process, tenant) == []
        mended = await http.post("/v1/users", headers=headers, json={"email": "b@example.org"})
        assert mended.status_code == 201
        assert "idempotent-replayed" not in mended.headers
        again = await http.post("/v1/users", headers=headers, json={"email": "b@example.org"})
        assert again.content == mended.content


async def test_who_may_not_do_it_is_refused_before_the_key_is_looked_at(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        reader = with_key(await bearer(process, tenant, "items:read"))
        refused = await http.post("/v1/items", headers=reader, json={"title": "Desk"})
        assert refusal_of(refused) == (403, "insufficient-scope")
        assert refusal_of(await http.post("/v1/items", headers=with_key({}), json={}))[0] == 401
        assert await rows(process, tenant) == []


async def test_who_was_disabled_gets_no_answer_again(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = with_key(await bearer(process, tenant))
        assert (await http.post("/v1/items", headers=headers, json={"title": "Desk"})).status_code == 201
        own = process.tokens.verify(headers["Authorization"].removeprefix("Bearer "))
        assert own is not None
        assert (
            await http.delete(f"/v1/clients/{own.subject}", headers=await bearer(process, tenant))
        ).status_code == 204
        await process.feed.caught_up()
        refused = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        assert refusal_of(refused) == (401, "invalid-token")


@pytest.mark.parametrize(
    "key", ["", " ", '""', "x" * 256, "caf\u00e9", "a\tb", '"abc', 'abc"d"\u00ff', '"a"b"', '"a\\x"', "a\x7f"]
)
async def test_what_is_no_key_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, key: str
) -> None:
    for tenant in (acme, globex):
        headers: Any = {
            **{name.encode(): value.encode() for name, value in (await bearer(process, tenant)).items()},
            b"Idempotency-Key": key.encode("latin-1"),
        }
        refused = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        assert refusal_of(refused) == (400, "invalid-idempotency-key")
        assert "255 printable" in problem_of(refused)["detail"]
        assert await rows(process, tenant, "items") == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("x", "x"),
        ("x" * 255, "x" * 255),
        ('"quoted"', "quoted"),
        ('"say \\"it\\" \\\\"', 'say "it" \\'),
        ("two words; a=1", "two words; a=1"),
        ("'; DROP TABLE items; --%s :x $1 \\", "'; DROP TABLE items; --%s :x $1 \\"),
    ],
)
async def test_any_printable_characters_are_a_key(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, sent: str, kept: str
) -> None:
    for tenant in (acme, globex):
        headers = with_key(await bearer(process, tenant), sent)
        for _ in range(2):
            assert (await http.post("/v1/items", headers=headers, json={"title": "Desk"})).status_code == 201
        assert [row["key"] for row in await rows(process, tenant)] == [kept]


async def test_a_key_with_quotes_and_without_is_the_same(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        first = await http.post("/v1/items", headers=with_key(headers, "abc"), json={"title": "Desk"})
        again = await http.post("/v1/items", headers=with_key(headers, '"abc"'), json={"title": "Desk"})
        assert again.content == first.content


async def test_two_keys_in_one_request_are_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = [*(await bearer(process, tenant)).items(), ("Idempotency-Key", "a"), ("idempotency-key", "b")]
        refused = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        assert refusal_of(refused) == (400, "repeated-header")


async def test_where_nothing_is_made_the_header_means_nothing(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        made = await item(process, tenant)
        headers = with_key(await bearer(process, tenant))
        for title in ("One", "Two"):
            changed = await http.patch(f"/v1/items/{made.id}", headers=headers, json={"title": title})
            assert changed.json()["title"] == title
        client = await api_client(process, tenant)
        form = {
            "grant_type": "client_credentials",
            "client_id": str(client.client_id),
            "client_secret": client.client_secret,
        }
        for _ in range(2):
            token = await http.post("/oauth/token", headers=with_key({"X-Tenant": tenant.slug}, ""), data=form)
            assert token.status_code == 200
            assert "idempotent-replayed" not in token.headers
        assert await rows(process, tenant) == []


async def test_a_secret_is_neither_kept_nor_shown_again(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        asked = {"headers": with_key(headers, "a"), "json": {"name": "ERP", "scopes": ["items:read"]}}
        made = await http.post("/v1/clients", **asked)
        again = await http.post("/v1/clients", **asked)
        secret = made.json()["client_secret"]
        assert secret.startswith("lh_client_")
        assert again.json() == made.json() | {"client_secret": None}
        address = f"/v1/clients/{made.json()['client_id']}/rotate"
        rotated = await http.post(address, headers=with_key(headers, "b"), json={})
        repeated = await http.post(address, headers=with_key(headers, "b"), json={})
        assert rotated.json()["client_secret"] not in {None, secret}
        assert repeated.json() == rotated.json() | {"client_secret": None}
        assert len(await rows(process, tenant)) == 2
        async with open_tenant_session(process.database, tenant) as session:
            bodies = "".join(await session.scalars(text("SELECT convert_from(body, 'UTF8') FROM idempotency_keys")))
        assert "lh_client_" not in bodies
        assert made.json()["client_id"] in bodies


async def test_a_password_in_a_request_cannot_be_guessed_from_what_is_kept(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    body = {"email": "a@example.org", "password": "correct horse battery"}
    for tenant in (acme, globex):
        answer = await http.post("/v1/users", headers=with_key(await bearer(process, tenant)), json=body)
        assert answer.status_code == 201
    kept = [(await rows(process, tenant))[0] for tenant in (acme, globex)]
    assert "correct horse" not in str(kept)
    assert kept[0]["fingerprint"] != kept[1]["fingerprint"]
    assert settings.installation_key.get_secret_value() not in str(kept)


async def test_an_answer_has_expired_after_24_hours_even_before_it_is_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = with_key(await bearer(process, tenant))

        async def post(title: str, headers: dict[str, str] = headers) -> httpx.Response:
            return await http.post("/v1/items", headers=headers, json={"title": title})

        first = await post("Desk")
        await _age(process, tenant, "23 hours 59 minutes")
        assert (await post("Desk")).content == first.content
        await _age(process, tenant, "1 minute")
        second = await post("Table")
        assert second.status_code == 201
        assert "idempotent-replayed" not in second.headers
        assert (await post("Table")).content == second.content
        assert len(await rows(process, tenant)) == 1
        assert [row["title"] for row in await rows(process, tenant, "items")] == ["Desk", "Table"]


async def _age(process: Process, tenant: TenantRef, by: str) -> None:
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(text(f"UPDATE idempotency_keys SET created_at = created_at - interval '{by}'"))
