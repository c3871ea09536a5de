"""Clients of a deployment that is changed under them, with a journal of what they were answered."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count

import httpx

_WRITERS = 4
_WITHIN_S = 60
_PAUSE_S = 0.01


class Load:
    """Clients that make items, read what they have made, and export it, one request after the other."""

    def __init__(self, address: str, tenants: Sequence[dict[str, str]]) -> None:
        """Take where to ask, and the headers that stand for each tenant."""
        self.acknowledged: list[tuple[int, str]] = []
        """The titles that were made, each with the place of its tenant."""
        self.refused = 0
        """Requests that were asked to come back, since code and schema did not fit."""
        self.failures: list[str] = []
        """What went wrong in any other way."""
        self._address, self._tenants = address, tenants
        self._is_over = False

    @asynccontextmanager
    async def flowing(self) -> AsyncGenerator[None]:
        """Let the clients ask until the end of the block."""
        async with asyncio.TaskGroup() as group:
            for number in range(_WRITERS):
                group.create_task(self._write(number))
            group.create_task(self._export())
            try:
                yield
            finally:
                self._is_over = True

    async def more(self, number: int) -> None:
        """Wait until so many more items were acknowledged."""
        wanted = len(self.acknowledged) + number
        await _until(lambda: len(self.acknowledged) >= wanted)

    async def some_refused(self) -> None:
        """Wait until somebody more was asked to come back."""
        before = self.refused
        await _until(lambda: self.refused > before)

    def made_for(self, place: int) -> list[str]:
        """Return the titles that were made for a tenant."""
        return sorted(title for tenant, title in self.acknowledged if tenant == place)

    async def _write(self, number: int) -> None:
        async with self._client() as client:
            for turn in count():
                if self._is_over:
                    return
                place, title = turn % len(self._tenants), f"{number}-{turn}"
                headers = self._tenants[place]
                made = await self._ask(client, "POST", "/v1/items", headers=headers, json={"title": title})
                if made is not None:
                    self.acknowledged.append((place, title))
                    address = f"/v1/items/{made.json()['id']}"
                    read = await self._ask(client, "GET", address, headers=headers)
                    if read is not None and read.json()["title"] != title:
                        self.failures.append(f"{address} is not {title}")
                await asyncio.sleep(_PAUSE_S)

    async def _export(self) -> None:
        async with self._client() as client:
            while not self._is_over:
                await self._ask(client, "GET", "/v1/items/export", headers=self._tenants[0])
                await asyncio.sleep(5 * _PAUSE_S)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._address, timeout=60)

    async def _ask(self, client: httpx.AsyncClient, method: str, path: str, **what: object) -> httpx.Response | None:
        """Return an answer, or None where there is none that is good."""
        try:
            answer = await client.request(method, path, **what)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return None
        if answer.is_success:
            return answer
        if _asks_to_come_back(answer):
            self.refused += 1
        else:
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return None


def _asks_to_come_back(answer: httpx.Response) -> bool:
    if answer.status_code != 503 or answer.json()["type"] != "/docs/problems/tenant-not-migrated":
        return False
    return int(answer.headers["retry-after"]) > 0


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not is_so():
            await asyncio.sleep(_PAUSE_S)
