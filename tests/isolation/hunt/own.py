"""What a client does in its own tenant, and what it must find there."""

import json
import time
from urllib.parse import urlencode

from tests.isolation.hunt.decisions import Decision
from tests.isolation.hunt.hunter import Hunter, outcomes_of
from tests.isolation.hunt.tenants import Hunted

_LINES = {"Content-Type": "application/x-ndjson"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_TOKEN_S = 600
_KEYS = 400


async def read(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    if (mine := hunter.own(decision)) is None:
        return await create(hunter, decision, ours, theirs)
    name, own = mine
    answer = await hunter.ask(decision, ours, "GET", f"/v1/items/{name}")
    if answer is not None and json.loads(answer.body)["title"] != own.title:
        hunter.watch.leak(f"the item {name} of {ours.mark} is {answer.body!r} and not {own.title}")
    return None


async def walk(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    """Begin to list the items in one of two orders, whose cursors are of two kinds, or go on."""
    path = "/v1/items?limit=5" + ("&sort=-updated_at" if decision.more < 0.5 else "")
    if ours.next_pages and decision.pick < 0.5:
        path = ours.next_pages[int(decision.more * len(ours.next_pages))]
    answer = await hunter.ask(decision, ours, "GET", path)
    if answer is not None and (cursor := json.loads(answer.body)["next_cursor"]):
        ours.next_pages.append(f"{path.partition('&cursor=')[0]}&cursor={cursor}")


async def search(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    await hunter.ask(decision, ours, "GET", f"/v1/items?limit=5&q={ours.mark}&sort=-updated_at")


async def look_around(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    places = ("users", "clients", "keys", "audit?limit=5", "me", "tenant/limits", "tenant", "invitations")
    await hunter.ask(decision, ours, "GET", f"/v1/{places[int(decision.pick * len(places))]}")


async def create(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    body = {"title": hunter.title(ours), "description": ours.mark, "tags": [ours.mark]}
    answer = await hunter.ask(decision, ours, "POST", "/v1/items", body, expected=(201,))
    if answer is not None:
        hunter.note(decision, ours, json.loads(answer.body), answer.header("ETag") or "")


async def change(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    if (mine := hunter.own(decision)) is None:
        return await create(hunter, decision, ours, theirs)
    name, own = mine
    own.is_certain = False
    headers = {"If-Match": own.etag} if own.etag else {}
    body = {"title": hunter.title(ours)}
    answer = await hunter.ask(decision, ours, "PATCH", f"/v1/items/{name}", body, headers=headers)
    if answer is not None:
        own.title, own.etag, own.is_certain = body["title"], answer.header("ETag") or "", True
    return None


async def delete(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    if (mine := hunter.own(decision)) is None:
        return await create(hunter, decision, ours, theirs)
    name, own = mine
    own.is_certain = False
    if await hunter.ask(decision, ours, "DELETE", f"/v1/items/{name}", expected=(204,)) is not None:
        own.is_certain = own.is_deleted = True
    return None


async def restore(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    if (mine := hunter.own(decision, deleted=True)) is None:
        return await read(hunter, decision, ours, theirs)
    name, own = mine
    own.is_certain = False
    answer = await hunter.ask(decision, ours, "POST", f"/v1/items/{name}/restore", {})
    if answer is not None:
        own.etag, own.is_certain, own.is_deleted = answer.header("ETag") or "", True, False
    return None


async def create_many(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    lines = [{"title": hunter.title(ours)}, {"title": ""}, {"title": hunter.title(ours)}]
    answer = await hunter.ask(decision, ours, "POST", "/v1/items/bulk", {"items": lines})
    for line in outcomes_of(answer) if answer else []:
        if line["status"] == 201:
            hunter.note(decision, ours, line["item"])


async def take(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    lines = [{"title": hunter.title(ours)} for _ in range(4)]
    if is_wrong := decision.pick < 0.3:
        lines.append({"title": f"{ours.mark} never", "owner_id": str(_theirs.user_id)})
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    expected = (422,) if is_wrong else (200,)
    await hunter.ask(decision, ours, "POST", "/v1/items/import", body, headers=_LINES, expected=expected)


async def export(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    await hunter.ask(decision, ours, "GET", "/v1/items/export")


async def ask_twice(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    """Send one of a few keys, which are the same in all tenants, with what is the same but for the mark."""
    key = f"key-{int(decision.pick * _KEYS)}"
    body = {"title": f"{ours.mark} {key}"}
    headers = {"Idempotency-Key": key}
    answer = await hunter.ask(decision, ours, "POST", "/v1/items", body, headers=headers, expected=(201, 409))
    if answer is not None and answer.status == 201:
        made = json.loads(answer.body)["id"]
        if ours.keyed.setdefault(key, made) != made:
            hunter.watch.fault(f"{key} of {ours.mark} made {made} after {ours.keyed[key]}")


async def by_key(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    await hunter.ask(decision, ours, "GET", "/v1/items?limit=3", credential=ours.key)


async def by_host(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    path = "/v1/items?limit=3"
    await hunter.ask(decision, ours, "GET", path, host=hunter.host_of(ours), unsettled=[ours])


async def get_token(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Get a token; it is used by all from then on, if theirs is old."""
    client = ours.client
    form = {
        "grant_type": "client_credentials",
        "client_id": str(client.client_id),
        "client_secret": client.client_secret or "",
    }
    answer = await hunter.ask(
        *(decision, ours, "POST", "/oauth/token", urlencode(form).encode()),
        headers={**_FORM, "X-Tenant": ours.slug},
        credential="",
        unsettled=[ours, theirs],
    )
    if answer is not None and time.monotonic() - ours.token_at > _TOKEN_S * decision.more:
        ours.token, ours.token_at = json.loads(answer.body)["access_token"], time.monotonic()


async def fail(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Send what is refused before the database, by a rule of it, or in the middle of many."""
    bodies = (
        b"{",
        {"title": ours.mark * 20},
        {"title": ours.mark, "tenant": theirs.slug},
        {"title": f"{ours.mark} never", "owner_id": str(theirs.user_id)},
    )
    body = bodies[int(decision.pick * len(bodies))]
    await hunter.ask(decision, ours, "POST", "/v1/items", body, expected=(400, 422))


async def go_away(hunter: Hunter, decision: Decision, ours: Hunted, _theirs: Hunted) -> None:
    """Ask, and be gone before the answer comes, or just then."""
    if decision.pick < 0.5:
        await hunter.leave(decision, ours, "GET", "/v1/items?limit=50" if decision.pick < 0.4 else "/v1/items/export")
    else:
        await hunter.leave(decision, ours, "POST", "/v1/items", {"title": hunter.title(ours)})


OWN = {
    read: 90,
    walk: 40,
    search: 12,
    look_around: 16,
    create: 28,
    change: 32,
    delete: 20,
    restore: 6,
    create_many: 4,
    take: 3,
    export: 1,
    ask_twice: 16,
    by_key: 16,
    by_host: 12,
    get_token: 3,
    fail: 12,
    go_away: 10,
}
"""How often each is done."""
