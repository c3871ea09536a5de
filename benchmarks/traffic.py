"""What is asked: the requests of each operation, spread over tenants at random or in turn, with real access tokens."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from uuid import UUID

import httpx

from benchmarks.installation import Installation, Tenant

OPERATIONS: Mapping[str, str] = {"get": "GET one item", "list": "GET a page of 20", "post": "POST an item"}
MIX = ("get", "list", "get", "post", "get", "list", "get", "get", "list", "get")
_DIFFERENT_REQUESTS = 20_000
_TOKENS_LAST_S = 600.0
_AT_ONCE = 8
_BODY = b'{"title":"Bench","description":"Oak, 140 cm wide, 70 cm deep, with two drawers on the left"}'


class WrongAnswer(RuntimeError):
    """The server {name} does not do the work that is measured: {answer}."""

    def __init__(self, name: str, answer: object) -> None:
        super().__init__((self.__doc__ or "").format(name=name, answer=answer))


class Tokens:
    """An access token for each tenant, from Leasehold's own endpoint, renewed before they expire."""

    def __init__(self, port: int | None, tenants: Sequence[Tenant]) -> None:
        self._port = port
        self._tenants = tenants
        self._tokens: dict[str, str] = {}
        self._issued_at = -_TOKENS_LAST_S

    async def fresh(self) -> dict[str, str]:
        """Return a token by slug; none without a Leasehold that issues them. It is the same object until renewed."""
        if self._port is None or time.monotonic() - self._issued_at < _TOKENS_LAST_S:
            return self._tokens
        turns = asyncio.Semaphore(_AT_ONCE)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", timeout=30) as client:

            async def ask(tenant: Tenant) -> tuple[str, str]:
                form = {"grant_type": "client_credentials", "client_id": tenant.client_id}
                form["client_secret"] = tenant.client_secret
                async with turns:
                    answer = await client.post("/oauth/token", headers={"Host": host_of(tenant.slug)}, data=form)
                return tenant.slug, answer.raise_for_status().json()["access_token"]

            self._tokens = dict(await asyncio.gather(*map(ask, self._tenants)))
        self._issued_at = time.monotonic()
        return self._tokens


def host_of(slug: str) -> str:
    """Return the host on which a tenant answers."""
    return f"{slug}.localhost"


def requests_of(
    operation: str, tenants: Sequence[Tenant], item_ids: Sequence[UUID], tokens: Mapping[str, str]
) -> list[bytes]:
    """Return the requests of an operation, the same ones in every run for the same tenants and items."""
    chance = random.Random(operation)
    heads = _heads(tenants, tokens)
    return [_request(operation, chance.choice(item_ids), chance.choice(heads)) for _ in range(_DIFFERENT_REQUESTS)]


def rounds_of(tenants: Sequence[Tenant], item_ids: Sequence[UUID], tokens: Mapping[str, str]) -> Iterator[bytes]:
    """Yield requests for ever: one for each tenant in turn, and in each round another operation of `MIX`."""
    heads = _heads(tenants, tokens)
    for turn in count():
        for place, head in enumerate(heads):
            yield _request(MIX[(turn + place) % len(MIX)], item_ids[(turn + place) % len(item_ids)], head)


def _heads(tenants: Sequence[Tenant], tokens: Mapping[str, str]) -> list[bytes]:
    return [
        f"Host: {host_of(tenant.slug)}\r\nAuthorization: Bearer {tokens.get(tenant.slug, '-')}\r\n".encode()
        for tenant in tenants
    ]


def _request(operation: str, item_id: UUID, head: bytes) -> bytes:
    if operation == "post":
        rest = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
        return b"POST /v1/items HTTP/1.1\r\n" + head + rest
    if operation == "list":
        return b"GET /v1/items?limit=20 HTTP/1.1\r\n" + head + b"\r\n"
    return b"GET /v1/items/%b HTTP/1.1\r\n%b\r\n" % (str(item_id).encode(), head)


async def demand_right_answers(name: str, port: int, installed: Installation, tokens: Mapping[str, str]) -> None:
    """Pass if a server answers each operation as all do, for the first tenant and for the last.

    Raises:
        WrongAnswer: it does not.
    """
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for tenant in {installed.tenants[0], installed.tenants[-1]}:
            headers = {"Host": host_of(tenant.slug), "Authorization": f"Bearer {tokens.get(tenant.slug, '-')}"}
            one = await client.get(f"/v1/items/{installed.item_ids[0]}", headers=headers)
            page = await client.get("/v1/items?limit=20", headers=headers)
            headers["Content-Type"] = "application/json"
            made = await client.post("/v1/items", headers=headers, content=_BODY)
            if not (
                one.status_code == 200
                and one.json()["title"] == f"{tenant.slug} item 1"
                and page.status_code == 200
                and min(20, len(installed.item_ids)) <= len(page.json()["items"]) <= 20
                and page.json()["items"][0] == one.json()
                and made.status_code == 201
            ):
                raise WrongAnswer(name, [(answer.status_code, answer.text[:500]) for answer in (one, page, made)])
