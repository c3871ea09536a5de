"""A tenant that is put back and forth under load is in one state or the other, and loses nothing acknowledged."""

import asyncio
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import on, refusal_of
from tests.archives import exported
from tests.factories import OPERATOR, api_key, item
from tests.faults.serving import served
from tests.restores import put_back

_TITLES = 'SELECT title FROM "{}".items ORDER BY title'
_PLACES = """
SELECT t.schema_name, a.schema_name FROM platform.tenants t
  JOIN platform.tenant_restores r ON r.tenant_id = t.id JOIN platform.tenants a ON a.id = r.aside_id WHERE t.id = $1
"""
_STATES = ({"base", "of today"}, {"base", "of yesterday"})


class _Clients:
    """Readers and writers of one tenant, each asking one of several processes again and again."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.made: set[str] = set()
        self.refused = 0
        self.seen: list[frozenset[str]] = []
        self.failures: list[str] = []
        self.is_over = False

    async def read(self, client: httpx.AsyncClient, path: str) -> None:
        while not self.is_over:
            answer = await client.get(path, headers=self.headers)
            if self._is_good(answer, 200):
                self.seen.append(frozenset(one["title"] for one in answer.json()["items"]) & (_STATES[0] | _STATES[1]))

    async def write(self, client: httpx.AsyncClient, path: str, name: str) -> None:
        for number in count():
            if self.is_over:
                return
            title = f"{name}-{number}"
            if self._is_good(await client.post(path, headers=self.headers, json={"title": title}), 201):
                self.made.add(title)

    async def more(self, number: int) -> None:
        """Wait until so many more were made and so many more were read."""
        made, seen = len(self.made) + number, len(self.seen) + number
        async with asyncio.timeout(60):
            while len(self.made) < made or len(self.seen) < seen:
                await asyncio.sleep(0.01)

    def _is_good(self, answer: httpx.Response, status: int) -> bool:
        if answer.status_code == status:
            return True
        if answer.status_code == 503 and refusal_of(answer)[1] in {"tenant-put-back", "too-slow"}:
            assert int(answer.headers["retry-after"]) > 0
            self.refused += 1
        else:
            self.failures.append(f"{answer.status_code} {answer.text}")
        return False


async def test_under_load_from_several_processes_each_answer_is_of_one_state_and_what_was_acknowledged_is_in_one(
    process: Process, http: httpx.AsyncClient, settings: Settings, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    clients = _Clients({"Authorization": f"Bearer {(await api_key(process, acme)).key}"})
    await item(process, acme, "base")
    old = await item(process, acme, "of yesterday")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    await owner.execute(f'DELETE FROM "{acme.schema}".items WHERE id = $1', old.id)
    await item(process, acme, "of today")

    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(
            served(settings, listen=False, rate_limit_tenant="off", rate_limit_client="off")
        )
        other = await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=30))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for number, (client, path) in enumerate(((http, on(acme.slug, "/v1/items")), (other, "/v1/items")) * 2):
            tasks.create_task(clients.read(client, f"{path}?limit=3"))
            tasks.create_task(clients.write(client, path, f"w{number}"))
        await clients.more(20)
        await put_back(process, tmp_path / "acme.archive", acme.id)
        await clients.more(20)
        for move in (process.restorer.undo, process.restorer.redo, process.restorer.undo):
            await move(acme.id, by=OPERATOR)
            await clients.more(20)
        clients.is_over = True

    assert clients.failures == []
    assert set(map(frozenset, _STATES)) == set(clients.seen)
    found: list[str] = []
    for schema in await owner.fetchrow(_PLACES, acme.id):
        found += [row[0] for row in await owner.fetch(_TITLES.format(schema))]
    assert sorted(clients.made) == sorted(title for title in found if title.startswith("w"))
