"""`/platform/v1/admins` and the tokens of admins: nobody gives, or takes over, what they do not hold."""

import asyncio

import httpx
import pytest

from leasehold.core.ids import new_id
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.process import Process
from tests.admins import ADMINS, ME, admin_headers, admin_login, known_admin, logged_in_admin
from tests.api.problems import pointers_of, refusal_of
from tests.factories import admin, new_slug, provisioned

READ, WRITE = "platform:admins:read", "platform:admins:write"
TENANTS = "/platform/v1/tenants"


async def create(http: httpx.AsyncClient, headers: dict[str, str], *scopes: str, name: str | None = None) -> str:
    """Make an admin and return its address."""
    made = await http.post(ADMINS, headers=headers, json={"name": name or new_slug(), "scopes": list(scopes)})
    assert made.status_code == 201, made.text
    return f"{ADMINS}/{made.json()['admin_id']}"


async def test_an_admin_is_made_found_listed_and_changed(http: httpx.AsyncClient, process: Process) -> None:
    root, name = await admin(process), new_slug()
    address = await create(http, root, READ, READ, name=name)
    found = (await http.get(address, headers=root)).json()
    assert {field: found[field] for field in ("name", "scopes", "is_active", "has_totp")} == {
        "name": name,
        "scopes": [READ],
        "is_active": True,
        "has_totp": False,
    }
    assert set(found) == {"id", "name", "is_active", "scopes", "has_totp", "created_at", "updated_at"}
    listed, cursor = [], None
    while True:
        page = (
            await http.get(ADMINS, headers=root, params={"limit": 100} | ({"cursor": cursor} if cursor else {}))
        ).json()
        listed += page["items"]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert found in listed
    changed = await http.patch(address, headers=root, json={"scopes": [WRITE, READ]})
    assert changed.json()["scopes"] == [READ, WRITE]


async def test_what_is_no_admin_is_refused(http: httpx.AsyncClient, process: Process) -> None:
    root, name = await admin(process), new_slug()
    await create(http, root, name=name)
    taken = await http.post(ADMINS, headers=root, json={"name": name, "scopes": []})
    assert (refusal_of(taken), pointers_of(taken)) == ((409, "admin-name-taken"), ["/name"])
    unknown = await http.post(ADMINS, headers=root, json={"name": new_slug(), "scopes": ["items:read"]})
    assert (refusal_of(unknown), pointers_of(unknown)) == ((422, "unknown-scope"), ["/scopes"])
    for wrong in ("", "Robin", "robin\n", "-x", "a" * 64, "ro bin", "rob\u00edn"):
        refused = await http.post(ADMINS, headers=root, json={"name": wrong, "scopes": []})
        assert (refusal_of(refused), pointers_of(refused)) == ((422, "validation-failed"), ["/name"]), wrong
    nobody = f"{ADMINS}/{new_id()}"
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/password-setup"), ("DELETE", "/totp")):
        body = {"json": {}} if method == "PATCH" else {}
        assert refusal_of(await http.request(method, nobody + path, headers=root, **body)) == (404, "not-found")


async def test_two_who_take_one_name_at_once_do_not_both_get_it(http: httpx.AsyncClient, process: Process) -> None:
    root, body = await admin(process), {"name": new_slug(), "scopes": []}
    answers = await asyncio.gather(*(http.post(ADMINS, headers=root, json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_nobody_gives_what_they_do_not_hold(http: httpx.AsyncClient, process: Process) -> None:
    root, weak = await admin(process), await admin(process, READ, WRITE)
    body = {"name": new_slug(), "scopes": ["platform:tenants:write"]}
    assert refusal_of(await http.post(ADMINS, headers=weak, json=body)) == (403, "insufficient-scope")
    strong = await create(http, root, READ, "platform:tenants:write")
    for scopes in ([READ, "platform:tenants:write", "platform:jobs:read"], sorted(PLATFORM_SCOPES)):
        refused = await http.patch(strong, headers=weak, json={"scopes": scopes})
        assert refusal_of(refused) == (403, "insufficient-scope")
    less = await http.patch(strong, headers=weak, json={"scopes": ["platform:tenants:write"]})
    assert less.json()["scopes"] == ["platform:tenants:write"]
    assert (await http.patch(strong, headers=weak, json={"is_active": False})).status_code == 200
    assert refusal_of(await http.patch(strong, headers=weak, json={"is_active": True})) == (403, "insufficient-scope")


async def test_nobody_takes_over_an_admin_who_holds_more(http: httpx.AsyncClient, process: Process) -> None:
    root, weak = await admin(process), await admin(process, READ, WRITE)
    strong = await create(http, root, "platform:tenants:write")
    assert refusal_of(await http.post(f"{strong}/password-setup", headers=weak)) == (403, "insufficient-scope")
    assert refusal_of(await http.delete(f"{strong}/totp", headers=weak)) == (403, "insufficient-scope")
    equal = await create(http, root, READ)
    assert (await http.post(f"{equal}/password-setup", headers=weak)).status_code == 201


async def test_who_is_disabled_is_refused_at_once_and_enabled_logs_in_anew(
    http: httpx.AsyncClient, process: Process
) -> None:
    root, known = await admin(process), await known_admin(http, process)
    login, script = await admin_headers(http, known), await admin(process, name=known.name)
    disabled = await http.patch(f"{ADMINS}/{known.id}", headers=root, json={"is_active": False})
    assert disabled.json()["is_active"] is False
    for headers in (login, script):
        assert refusal_of(await http.get(TENANTS, headers=headers)) == (401, "invalid-token")
    assert (await http.patch(f"{ADMINS}/{known.id}", headers=root, json={"is_active": True})).status_code == 200
    assert refusal_of(await http.get(TENANTS, headers=login)) == (401, "invalid-token")
    assert (await http.get(TENANTS, headers=script)).status_code == 200
    assert (await admin_login(http, known.name)).status_code == 200


async def test_a_script_gets_some_of_the_scopes_of_who_has_logged_in(http: httpx.AsyncClient, process: Process) -> None:
    login = await logged_in_admin(http, process, scopes=["platform:tenants:read", READ])
    body = {"scopes": ["platform:tenants:read"], "days": 7}
    made = await http.post(f"{ME}/tokens", headers=login, json=body)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    script = {"Authorization": f"Bearer {made.json()['token']}"}
    assert made.json()["token"].startswith("lh_admin_")
    assert (await http.get(TENANTS, headers=script)).status_code == 200
    assert refusal_of(await http.get(ADMINS, headers=script)) == (403, "insufficient-scope")
    refused = await http.post(f"{ME}/tokens", headers=script, json=body)
    assert refusal_of(refused) == (403, "logged-in-only")
    for scopes, kind in ((["platform:tenants:write"], "scope-not-held"), (["x"], "unknown-scope")):
        wrong = await http.post(f"{ME}/tokens", headers=login, json={"scopes": scopes})
        assert (refusal_of(wrong), pointers_of(wrong)) == ((422, kind), ["/scopes"])
    for days in (0, 366):
        late = await http.post(f"{ME}/tokens", headers=login, json={"scopes": [], "days": days})
        assert pointers_of(late) == ["/days"]


async def test_tokens_are_listed_and_revoked_by_their_owner_and_by_who_may_change_admins(
    http: httpx.AsyncClient, process: Process
) -> None:
    root, known = await admin(process), await known_admin(http, process)
    login, stranger = await admin_headers(http, known), await logged_in_admin(http, process)
    made = [(await http.post(f"{ME}/tokens", headers=login, json={"scopes": []})).json() for _ in range(2)]
    first, second = [{"Authorization": f"Bearer {one['token']}"} for one in made]
    assert (await http.get(ME, headers=first)).status_code == 200
    listed = (await http.get(f"{ME}/tokens", headers=login)).json()["items"]
    assert [(one["id"], one["admin_name"]) for one in listed] == [(one["id"], known.name) for one in made]
    assert [one["last_used_at"] is not None for one in listed] == [True, False]
    assert (await http.get(f"{ADMINS}/{known.id}/tokens", headers=root)).json()["items"] == listed
    assert (await http.get(f"{ME}/tokens", headers=stranger)).json()["items"] == []
    assert refusal_of(await http.delete(f"{ME}/tokens/{made[0]['id']}", headers=stranger)) == (404, "not-found")
    assert (await http.delete(f"{ME}/tokens/{made[0]['id']}", headers=login)).status_code == 204
    assert refusal_of(await http.get(ME, headers=first)) == (401, "invalid-token")
    other = f"{ADMINS}/{new_id()}/tokens/{made[1]['id']}"
    assert refusal_of(await http.delete(other, headers=root)) == (404, "not-found")
    assert (await http.delete(f"{ADMINS}/{known.id}/tokens/{made[1]['id']}", headers=root)).status_code == 204
    assert refusal_of(await http.get(ME, headers=second)) == (401, "invalid-token")


@pytest.mark.parametrize("is_canary", [True, False])
async def test_who_is_migrated_first_is_decided_by_who_may_write_the_fleet(
    http: httpx.AsyncClient, process: Process, *, is_canary: bool
) -> None:
    address = f"{TENANTS}/{(await provisioned(process)).id}"
    tenants_only = await admin(process, "platform:tenants:write")
    both = await admin(process, "platform:tenants:write", "platform:fleet:write")
    refused = await http.patch(address, headers=tenants_only, json={"is_canary": is_canary, "name": "Acme"})
    assert refusal_of(refused) == (403, "insufficient-scope")
    changed = await http.patch(address, headers=both, json={"is_canary": is_canary})
    assert changed.json()["is_canary"] is is_canary
