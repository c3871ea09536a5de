"""`python -m faults.flood PLAN JOURNAL`: connections that ask again as soon as they are answered, until SIGTERM.

So there are always more requests than can be served, however fast that is. HTTP by hand: a library would be the limit.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import httpx
import msgspec

from faults.client import Plan, token_of
from faults.installation import Tenant
from faults.journal import Entry, Event, Journal

FIRST = 1_000_000
"""The number of the first operation: the client that is there anyway must not use it."""
_PATIENCE_S = 30.0


class Asking:
    """One connection of one tenant."""

    def __init__(self, plan: Plan, tenant: Tenant, token: str, journal: Journal) -> None:
        url = httpx.URL(plan.address)
        self._host, self._port, self._tenant, self._journal = url.host, url.port, tenant, journal
        head = f"GET /v1/items?limit=20 HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._request = head.encode()

    async def run(self, numbers: "count[int]") -> None:
        """Ask until cancelled; a connection that breaks is opened anew."""
        while True:
            entry = Entry("sent", 0, "list", self._tenant.slug, next(numbers))
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
                try:
                    while True:
                        entry = Entry("sent", 0, "list", self._tenant.slug, next(numbers), due=time.monotonic())
                        self._note(entry, "sent")
                        writer.write(self._request)
                        async with asyncio.timeout(_PATIENCE_S):
                            await self._answer(reader, entry)
                finally:
                    writer.transport.abort()
            except TimeoutError:
                self._note(entry, "hung")
            except (OSError, asyncio.IncompleteReadError):
                if entry.event == "sent" and entry.due:
                    self._note(entry, "cut")
                await asyncio.sleep(0.1)

    async def _answer(self, reader: asyncio.StreamReader, entry: Entry) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        fields = dict(line.partition(": ")[::2] for line in head[1:])
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        entry.status, entry.retry_after = int(head[0].split()[1]), fields.get("retry-after", "")
        found = msgspec.json.decode(body) if body else {}
        rows = found.get("items", []) if entry.status == 200 else []
        entry.foreign = sum(not row["title"].startswith(f"{self._tenant.slug}|") for row in rows)
        entry.problem = "" if entry.status == 200 else str(found.get("type", "")).rpartition("/")[2]
        self._note(entry, "answered")

    def _note(self, entry: Entry, event: Event) -> None:
        entry.event, entry.at = event, time.monotonic()
        self._journal.note(entry)


def rates_of(answers: Sequence[Entry]) -> tuple[float, float]:
    """Return how many answers were good in a second, and how many refused, from the first of them to the last."""
    moments = [one.at for one in answers]
    seconds = max(moments, default=0.0) - min(moments, default=0.0)
    well = sum(one.status == 200 for one in answers)
    return (well / seconds, (len(answers) - well) / seconds) if seconds else (0.0, 0.0)


async def flood(plan: Plan, journal: Journal) -> None:
    """Ask on all connections until SIGTERM; what is under way then is not waited for, and counts as not asked."""
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with httpx.AsyncClient(base_url=plan.address, timeout=30) as client:
        tokens = [await token_of(client, tenant) for tenant in plan.tenants]
    print("asking", flush=True)
    numbers, asked = count(FIRST), list(zip(plan.tenants, tokens, strict=True))
    tasks = [
        asyncio.create_task(Asking(plan, *asked[place % len(asked)], journal).run(numbers))
        for place in range(plan.connections)
    ]
    await over.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    """Read the plan and carry it out."""
    plan_file, journal_file = map(Path, sys.argv[1:])
    asyncio.run(flood(msgspec.json.decode(plan_file.read_bytes(), type=Plan), Journal(journal_file)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
