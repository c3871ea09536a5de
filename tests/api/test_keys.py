"""API keys over HTTP: what they open, what they may be given, how they are replaced."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy import credentials
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.keys import verification
from tests.api.problems import pointers_of, problem_of, refusal_of
from tests.factories import bearer, in_days


def carrying(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@contextmanager
def at(moment: float) -> Generator[None]:
    """Let it be a moment (seconds since 1970) for whoever looks at keys, and for the memory of them."""
    clock = SimpleNamespace(time=lambda: moment, monotonic=time.monotonic)
    with pytest.MonkeyPatch.context() as patch:
        for module in (credentials, verification):
            patch.setattr(module, "time", clock)
        yield


async def new_key(http: httpx.AsyncClient, headers: dict[str, str], *scopes: str, days: float = 30) -> dict[str, Any]:
    body = {"name": "Backup", "scopes": list(scopes), "expires_at": in_days(days).isoformat()}
    made = await http.post("/v1/keys", headers=headers, json=body)
    assert made.status_code == 201, made.text
    document: dict[str, Any] = made.json()
    return document


async def test_a_key_is_made_used_read_changed_and_deleted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    made = await new_key(http, headers, "items:write", "items:read", "items:read")
    address, key = f"/v1/keys/{made['id']}", made["key"]
    assert key.startswith("lh_key_")
    assert len(key) == 68
    read = await http.get(address, headers=headers)
    assert read.json()["scopes"] == ["items:read", "items:write"]
    assert read.json()["user_id"] is None
    assert key not in read.text + (await http.get("/v1/keys", headers=headers)).text
    assert (await http.post("/v1/items", headers=carrying(key), json={"title": "Desk"})).status_code == 201
    me = (await http.get("/v1/me", headers=carrying(key))).json()
    assert me == {
        "tenant": {"id": str(acme.id), "slug": acme.slug},
        "kind": "key",
        "subject": made["id"],
        "name": "Backup",
        "scopes": ["items:read", "items:write"],
        "profile": None,
    }
    changed = await http.patch(address, headers=headers, json={"name": "Shop", "scopes": ["items:read"]})
    assert (changed.json()["name"], changed.json()["scopes"]) == ("Shop", ["items:read"])
    await process.feed.caught_up()
    refused = await http.post("/v1/items", headers=carrying(key), json={"title": "Desk"})
    assert refusal_of(refused) == (403, "insufficient-scope")
    assert refusal_of(await http.get(address, headers=await bearer(process, globex))) == (404, "not-found")
    assert (await http.delete(address, headers=headers)).status_code == 204
    assert refusal_of(await http.get(address, headers=headers)) == (404, "not-found")
    await process.feed.caught_up()
    assert refusal_of(await http.get("/v1/items", headers=carrying(key))) == (401, "invalid-token")


async def test_two_tenants_see_and_change_their_own_keys_alone(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    foreign = await new_key(http, theirs, "items:read")
    listed = (await http.get("/v1/keys", headers=ours)).json()["items"]
    assert foreign["id"] not in {key["id"] for key in listed}
    for answer in (
        await http.patch(f"/v1/keys/{foreign['id']}", headers=ours, json={"is_active": False}),
        await http.post(f"/v1/keys/{foreign['id']}/rotate", headers=ours, json={}),
        await http.delete(f"/v1/keys/{foreign['id']}", headers=ours),
    ):
        assert refusal_of(answer) == (404, "not-found")
    assert (await http.get("/v1/items", headers=carrying(foreign["key"]))).status_code == 200


async def test_both_secrets_are_good_within_the_grace_and_a_second_rotation_ends_the_first(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        made = await new_key(http, headers, "items:read")
        address = f"/v1/keys/{made['id']}/rotate"
        secrets = [made["key"]]
        for body in ({"grace_seconds": 60}, {"grace_seconds": 60}, {}):
            rotated = await http.post(address, headers=headers, json=body)
            assert rotated.status_code == 200
            secrets.append(rotated.json()["key"])
            await process.feed.caught_up()
            statuses = [(await http.get("/v1/items", headers=carrying(key))).status_code for key in secrets]
            assert statuses == [401] * (len(secrets) - 2) + ([200, 200] if body else [401, 200])


async def test_the_former_secret_ends_with_its_grace_also_where_it_is_remembered(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        made = await new_key(http, headers, "items:read")
        await http.post(f"/v1/keys/{made['id']}/rotate", headers=headers, json={"grace_seconds": 60})
        await process.feed.caught_up()
        assert (await http.get("/v1/items", headers=carrying(made["key"]))).status_code == 200
        read = (await http.get(f"/v1/keys/{made['id']}", headers=headers)).json()
        ends_at = datetime.fromisoformat(read["previous_expires_at"]).timestamp()
        with at(ends_at - 0.001):
            assert (await http.get("/v1/items", headers=carrying(made["key"]))).status_code == 200
        with at(ends_at):
            refused = await http.get("/v1/items", headers=carrying(made["key"]))
        assert refusal_of(refused) == (401, "invalid-token")


async def test_a_rotation_may_prolong_a_key_and_leaves_the_expiry_of_the_former_secret(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        made = await new_key(http, headers, "items:read", days=1)
        body = {"grace_seconds": 604800, "expires_at": in_days(90).isoformat()}
        assert (await http.post(f"/v1/keys/{made['id']}/rotate", headers=headers, json=body)).status_code == 200
        read = (await http.get(f"/v1/keys/{made['id']}", headers=headers)).json()
        assert read["previous_expires_at"] == made["expires_at"]
        assert read["expires_at"][:19] == body["expires_at"][:19]  # type: ignore[index]


async def test_of_two_rotations_at_once_both_secrets_are_good(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        address = f"/v1/keys/{(await new_key(http, headers, 'items:read'))['id']}/rotate"
        for _ in range(5):
            rotations = [http.post(address, headers=headers, json={"grace_seconds": 60}) for _ in range(2)]
            for rotated in await asyncio.gather(*rotations):
                assert (await http.get("/v1/items", headers=carrying(rotated.json()["key"]))).status_code == 200


async def test_nobody_gives_a_key_more_than_they_hold_nor_takes_the_secret_of_one_that_has_more(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        mighty = await bearer(process, tenant)
        token = await bearer(process, tenant, "keys:write", "keys:read", "items:read")
        key = carrying((await new_key(http, mighty, "keys:write", "keys:read", "items:read"))["key"])
        strong = f"/v1/keys/{(await new_key(http, mighty, 'items:write'))['id']}"
        assert (await http.patch(strong, headers=mighty, json={"is_active": False})).status_code == 200
        body = {"name": "x", "scopes": ["items:write"], "expires_at": in_days(1).isoformat()}
        for limited in (token, key):
            for answer in (
                await http.post("/v1/keys", headers=limited, json=body),
                await http.patch(strong, headers=limited, json={"scopes": ["items:write"]}),
                await http.patch(strong, headers=limited, json={"is_active": True}),
                await http.post(f"{strong}/rotate", headers=limited, json={}),
            ):
                assert refusal_of(answer) == (403, "insufficient-scope")
                assert "items:write" in problem_of(answer)["detail"]


async def test_scopes_of_a_key_can_only_become_fewer(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        address = f"/v1/keys/{(await new_key(http, headers, 'items:read'))['id']}"
        refused = await http.patch(address, headers=headers, json={"scopes": ["items:read", "items:write"]})
        assert refusal_of(refused) == (422, "scope-not-held")
        assert pointers_of(refused) == ["/scopes"]
        assert (await http.get(address, headers=headers)).json()["scopes"] == ["items:read"]
        unknown = await http.patch(address, headers=headers, json={"scopes": ["items:delete"]})
        assert refusal_of(unknown) == (422, "unknown-scope")


async def test_what_a_key_makes_is_its_owners_and_lasts_no_longer_than_itself(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        maker = await new_key(http, headers, "keys:write", "keys:read", days=2)
        made = await new_key(http, carrying(maker["key"]), "keys:read", days=1)
        addresses = [f"/v1/keys/{key['id']}" for key in (maker, made)]
        owners = [(await http.get(address, headers=headers)).json()["client_id"] for address in addresses]
        assert owners[0] == owners[1] is not None
        longer = {"expires_at": in_days(3).isoformat()}
        for answer in (
            await http.post("/v1/keys", headers=carrying(maker["key"]), json={"name": "x", "scopes": [], **longer}),
            await http.post(f"{addresses[0]}/rotate", headers=carrying(maker["key"]), json=longer),
        ):
            assert refusal_of(answer) == (422, "invalid-expiry")


@pytest.mark.parametrize(
    ("expires_at", "kind"),
    [
        (-0.01, "invalid-expiry"),
        (366.01, "invalid-expiry"),
        ("0001-01-01T00:00:00+14:00", "invalid-expiry"),
        ("9999-12-31T23:59:59-14:00", "invalid-expiry"),
        ("2027-01-01T00:00:00", "validation-failed"),
        ("soon", "validation-failed"),
        (None, "validation-failed"),
    ],
)
async def test_a_key_expires_within_a_year(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    globex: TenantRef,
    expires_at: str | float | None,
    kind: str,
) -> None:
    for tenant in (acme, globex):
        headers = await bearer(process, tenant)
        address = f"/v1/keys/{(await new_key(http, headers, days=365.9))['id']}/rotate"
        expires_at = in_days(expires_at).isoformat() if isinstance(expires_at, float) else expires_at
        body = {"name": "Backup", "scopes": [], "expires_at": expires_at}
        for answer in (
            await http.post("/v1/keys", headers=headers, json=body),
            await http.post(address, headers=headers, json={"expires_at": expires_at}),
        ):
            assert refusal_of(answer) == (422, kind)
            assert pointers_of(answer) == ["/expires_at"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"scopes": []}, ["/expires_at", "/name"]),
        ({"name": "", "scopes": [], "expires_at": "2030-01-01T00:00:00Z"}, ["/name"]),
        ({"name": "a\x00b", "scopes": [], "expires_at": "2030-01-01T00:00:00Z"}, ["/name"]),
        ({"name": "ERP", "scopes": "items:read", "expires_at": "2030-01-01T00:00:00Z"}, ["/scopes"]),
        ({"name": "ERP", "scopes": [], "expires_at": "2030-01-01T00:00:00Z", "key": "mine"}, ["/key"]),
    ],
)
async def test_faults_are_pointed_at(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    globex: TenantRef,
    body: dict[str, object],
    pointers: list[str],
) -> None:
    for tenant in (acme, globex):
        refused = await http.post("/v1/keys", headers=await bearer(process, tenant), json=body)
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == pointers
