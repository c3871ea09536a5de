"""What a client of one tenant tries with what is another's, and how it is refused. Anything else is a leak."""

import json
from urllib.parse import urlencode

from tests.isolation.hunt.decisions import Decision
from tests.isolation.hunt.hunter import Hunter, outcomes_of
from tests.isolation.hunt.own import create
from tests.isolation.hunt.tenants import Hunted, picked


async def foreign_item(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Read, change, delete or restore an item of another, with its own entity tag."""
    if (found := picked(theirs.items, decision.pick)) is None:
        return
    name, etag = found
    ways = (
        ("GET", f"/v1/items/{name}", None, {"If-None-Match": etag}),
        ("PATCH", f"/v1/items/{name}", {"title": ours.mark}, {"If-Match": etag}),
        ("DELETE", f"/v1/items/{name}", None, {"If-Match": etag}),
        ("POST", f"/v1/items/{name}/restore", {}, {}),
        ("GET", f"/v1/users/{theirs.user_id}", None, {}),
        ("PATCH", f"/v1/clients/{theirs.client.client_id}", {"name": ours.mark}, {}),
    )
    method, path, body, headers = ways[int(decision.more * len(ways))]
    await hunter.ask(decision, ours, method, path, body, headers=headers, expected=(404,), trespass=True)


async def foreign_items(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Change items of another among many."""
    if (found := picked(theirs.items, decision.pick)) is None:
        return
    lines = [{"id": found[0], "title": ours.mark}]
    answer = await hunter.ask(decision, ours, "PATCH", "/v1/items/bulk", {"items": lines}, trespass=True)
    if answer is not None and [line["status"] for line in outcomes_of(answer)] != [404]:
        hunter.watch.leak(f"foreign_items of {ours.mark}: {answer.body!r}")


async def foreign_cursor(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    if theirs.next_pages:
        path = theirs.next_pages[int(decision.pick * len(theirs.next_pages))]
        await hunter.ask(decision, ours, "GET", path, expected=(422,), trespass=True)


async def foreign_name(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Ask with an own token on the host of another, in every spelling, or with its slug in the header."""
    host = hunter.host_of(theirs)
    ways = (
        (host, {}),
        (host.upper() + ".", {}),
        (host + ":8443", {}),
        (hunter.base_domain, {"X-Tenant": theirs.slug}),
        (hunter.host_of(ours), {"X-Tenant": theirs.slug}),
        (host, {"X-Tenant": ours.slug}),
    )
    host, headers = ways[int(decision.pick * len(ways))]
    await hunter.ask(
        *(decision, ours, "GET", "/v1/items?limit=5"),
        host=host,
        headers=headers,
        credential=ours.key if decision.more < 0.3 else None,
        expected=(403,),
        trespass=True,
        unsettled=[ours, theirs],
    )


async def foreign_proxy(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Name another tenant where a proxy might: nothing of it counts."""
    host = hunter.host_of(theirs)
    headers = {"X-Forwarded-Host": host, "Forwarded": f"host={host}", "X-Tenant-Id": str(theirs.id), "Referer": host}
    await hunter.ask(decision, ours, "GET", f"/v1/items?limit=5&q={ours.mark}", headers=headers, trespass=True)


async def foreign_secret(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Log in with an own client at another tenant, or at home with the secret of another's."""
    pair = (ours.client, ours.client) if decision.pick < 0.5 else (theirs.client, ours.client)
    form = {
        "grant_type": "client_credentials",
        "client_id": str(pair[0].client_id),
        "client_secret": pair[1].client_secret or "",
    }
    await hunter.ask(
        *(decision, ours, "POST", "/oauth/token", urlencode(form).encode()),
        headers={"Content-Type": "application/x-www-form-urlencoded", "X-Tenant": theirs.slug},
        credential="",
        expected=(401,),
        trespass=True,
        unsettled=[ours, theirs],
    )


async def foreign_plane(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Ask the platform with a token of a tenant."""
    path = f"/platform/v1/tenants/{theirs.id}" if decision.pick < 0.5 else "/platform/v1/tenants"
    await hunter.ask(decision, ours, "GET", path, expected=(401,), trespass=True)


async def foreign_tag(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Ask for an own item with the entity tag of another's: 304 would say that they are the same."""
    mine, found = hunter.own(decision), picked(theirs.items, decision.more)
    if mine is None or found is None:
        return await create(hunter, decision, ours, theirs)
    headers = {"If-None-Match": found[1]}
    await hunter.ask(decision, ours, "GET", f"/v1/items/{mine[0]}", headers=headers, trespass=True)
    return None


async def foreign_words(hunter: Hunter, decision: Decision, ours: Hunted, theirs: Hunted) -> None:
    """Look for what only another has."""
    words = (f"q={theirs.mark}", f"tag={theirs.mark}", f"owner_id={theirs.user_id}")
    path = f"/v1/items?{words[int(decision.pick * len(words))]}"
    answer = await hunter.ask(decision, ours, "GET", path, trespass=True)
    if answer is not None and json.loads(answer.body)["items"]:
        hunter.watch.leak(f"foreign_words of {ours.mark}: {answer.body!r}")


TRESPASSES = {
    foreign_item: 24,
    foreign_items: 4,
    foreign_cursor: 8,
    foreign_name: 16,
    foreign_proxy: 4,
    foreign_secret: 4,
    foreign_plane: 3,
    foreign_tag: 8,
    foreign_words: 8,
}
"""How often each is tried."""
