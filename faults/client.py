"""`python -m faults.client PLAN JOURNAL`: tenants that ask at a steady rate, whatever comes back, until SIGTERM.

A request is due at its moment and is sent then, whether or not those before it were answered: who waits would ask less
of a service that is slow, and so would measure it as better than it is.
"""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from faults.installation import Tenant
from faults.journal import Entry, Event, Journal, Kind

PATIENCE_S = 12.0
"""For so long it waits for an answer."""
_REPEAT_S = 0.25
_KINDS: tuple[Kind, ...] = ("make_once", "list", "make", "read", "change", "read")
_LAST_S = 20.0
"""So long it goes on repeating what has no answer, when it is told to end."""
_DONE = frozenset({200, 201})


class Plan(Struct):
    """What is to be asked, and how often."""

    address: str
    tenants: list[Tenant]
    rate: float
    """Requests of each tenant in a second."""
    connections: int
    """How many ask at once, where it is who asks again as soon as it is answered."""
    padding: int = 1500
    """Characters of each item that is made, so that its table grows."""


async def token_of(client: httpx.AsyncClient, tenant: Tenant) -> str:
    """Return a new access token of a tenant's client, an empty text if none is given.

    Raises:
        httpx.TransportError: nobody answers.
    """
    answer = await client.post(
        "/oauth/token",
        headers={"X-Tenant": tenant.slug},
        data={"grant_type": "client_credentials"},
        auth=(tenant.client_id, tenant.client_secret),
    )
    return answer.json()["access_token"] if answer.status_code == 200 else ""


class Asking:
    """One tenant."""

    def __init__(self, plan: Plan, tenant: Tenant, journal: Journal) -> None:
        self._tenant, self._journal, self._padding = tenant, journal, "-" * plan.padding
        self._http = httpx.AsyncClient(
            base_url=plan.address,
            timeout=PATIENCE_S,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )
        self._token = ""
        self._renewing = asyncio.Lock()
        self._made: deque[tuple[str, str]] = deque(maxlen=100)
        """Ids and titles that were acknowledged."""
        self._changeable: deque[tuple[str, str]] = deque(maxlen=100)
        """Those that were not changed yet."""

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def operate(self, number: int, due: float) -> None:
        """Do what is due."""
        kind = _KINDS[number % len(_KINDS)]
        if kind == "read" and not self._made:
            kind = "list"
        if kind == "change" and not self._changeable:
            kind = "make"
        match kind:
            case "make_once":
                await self._make(number, due, kind, key=f"key-{number}")
            case "make":
                await self._make(number, due, kind, key=None)
            case "change":
                id_, title = self._changeable.popleft()
                await self._ask(Entry("sent", 0, kind, self._tenant.slug, number, due=due, title=title), id_)
            case "read":
                id_, title = self._made[number % len(self._made)]
                await self._ask(Entry("sent", 0, kind, self._tenant.slug, number, due=due, title=title), id_)
            case "list":
                await self._ask(Entry("sent", 0, kind, self._tenant.slug, number, due=due), "")

    async def _make(self, number: int, due: float, kind: Kind, *, key: str | None) -> None:
        title = f"{self._tenant.slug}|{number}"
        for attempt in count(1):
            entry = Entry("sent", 0, kind, self._tenant.slug, number, attempt=attempt, due=due, title=title)
            answer = await self._ask(entry, "", key=key)
            if answer is not None and answer.status_code in _DONE:
                self._made.append((answer.json()["id"], title))
                self._changeable.append((answer.json()["id"], title))
            elif key and (answer is None or answer.status_code in {409, 429, 503}):
                await asyncio.sleep(_REPEAT_S)
                continue
            return

    async def _ask(self, entry: Entry, item_id: str, *, key: str | None = None) -> httpx.Response | None:
        """Send one request and note it; one that is refused for its token is sent again with a new one."""
        path, method = "/v1/items" + (f"/{item_id}" if item_id else ""), "GET"
        more: dict[str, Any] = {}
        if entry.kind in {"make", "make_once"}:
            method, more = "POST", {"json": {"title": entry.title, "description": self._padding}}
        elif entry.kind == "change":
            method, more = "PATCH", {"json": {"description": entry.title}}
        elif entry.kind == "list":
            path += "?limit=20&sort=-created_at"
        for is_last in (False, True):
            used = await self._current_token("")
            headers = {"Authorization": f"Bearer {used}"} | ({"Idempotency-Key": key} if key else {})
            self._note(entry, "sent")
            try:
                answer = await self._http.request(method, path, headers=headers, **more)
            except httpx.TimeoutException:
                self._note(entry, "hung")
                return None
            except httpx.TransportError:
                self._note(entry, "cut")
                return None
            self._note_answer(entry, answer)
            if answer.status_code != 401 or is_last:
                return answer
            await self._current_token(used)
        return None

    async def _current_token(self, refused: str) -> str:
        """Return a token that is not the refused one; while none can be had, whatever there is."""
        async with self._renewing:
            if self._token == refused:
                with suppress(httpx.TransportError):
                    self._token = await token_of(self._http, self._tenant) or self._token
            return self._token or "none"

    def _note(self, entry: Entry, event: Event) -> None:
        entry.event, entry.at = event, time.monotonic()
        self._journal.note(entry)

    def _note_answer(self, entry: Entry, answer: httpx.Response) -> None:
        body = answer.json() if answer.content else {}
        rows = body.get("items", [body]) if answer.status_code in _DONE else []
        noted = msgspec.structs.replace(
            entry,
            status=answer.status_code,
            problem=str(body.get("type", "")).rpartition("/")[2] if answer.status_code >= 400 else "",
            retry_after=answer.headers.get("retry-after", ""),
            foreign=sum(not row["title"].startswith(f"{self._tenant.slug}|") for row in rows),
        )
        self._note(noted, "answered")


async def ask(plan: Plan, journal: Journal) -> None:
    """Ask for all tenants until SIGTERM, or until who has started this is gone; then end what is under way."""
    parent = os.getppid()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    print("asking", flush=True)  # from now on it ends in order
    tenants = [Asking(plan, tenant, journal) for tenant in plan.tenants]
    under_way: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    for number in count():
        if over.is_set() or os.getppid() != parent:
            break
        for place, tenant in enumerate(tenants):
            task = asyncio.create_task(tenant.operate(number, due + place / (plan.rate * len(tenants))))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(max(0.0, due + (place + 1) / (plan.rate * len(tenants)) - time.monotonic()))
        due += 1 / plan.rate
    if under_way:
        _, left = await asyncio.wait(under_way, timeout=_LAST_S)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    for tenant in tenants:
        await tenant.close()


def main() -> int:
    """Read the plan and carry it out."""
    plan_file, journal_file = map(Path, sys.argv[1:])
    asyncio.run(ask(msgspec.json.decode(plan_file.read_bytes(), type=Plan), Journal(journal_file)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
