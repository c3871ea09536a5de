"""What the two raw ASGI peers share: the protocol and the JSON, and nothing that costs."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

Handler = Callable[[str, UUID | None, int, bytes], Awaitable[Any]]
"""Takes a slug, the item's id, the page's limit and the body, and returns what is encoded as JSON."""

_LIMIT = re.compile(rb"(?:^|&)limit=(\d+)")


COLUMNS = "id, title, description, status, owner_id, tags, version, created_at, updated_at"


class NewItem(msgspec.Struct):
    title: str
    description: str = ""
    status: str = "open"
    owner_id: UUID | None = None
    tags: list[str] = msgspec.field(default_factory=list)


class Item(msgspec.Struct):
    id: UUID
    title: str
    description: str
    status: str
    owner_id: UUID | None
    tags: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class Page(msgspec.Struct):
    items: list[Item]
    next_cursor: UUID | None
    has_more: bool


def item(row: Any) -> Item:
    """Return the item of a row."""
    return Item(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8])


def made(new: NewItem) -> Item:
    """Return the item that a request asks for."""
    now = datetime.now(UTC)
    return Item(uuid7(), new.title, new.description, new.status, new.owner_id, new.tags, 1, now, now)


def page(rows: list[Any], limit: int) -> Page:
    """Return the page of up to `limit + 1` rows."""
    items = [item(row) for row in rows[:limit]]
    return Page(items, items[-1].id if len(rows) > limit else None, len(rows) > limit)


async def open_connections() -> "asyncio.LifoQueue[asyncpg.Connection]":
    """Open all connections. A queue is all the pool that is needed, at half the cost of asyncpg's."""
    free: asyncio.LifoQueue[asyncpg.Connection] = asyncio.LifoQueue()
    for _ in range(int(os.environ["BENCH_POOL"])):
        free.put_nowait(
            await asyncpg.connect(
                os.environ["BENCH_DATABASE_URL"], statement_cache_size=10_000, max_cached_statement_lifetime=0
            )
        )
    return free


def application(start: Callable[[], Awaitable[None]], get: Handler, find: Handler, add: Handler) -> Any:
    """Return the ASGI application of three handlers: one item, a page, a new item."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        host = next(value for name, value in scope["headers"] if name == b"host")
        slug = host.partition(b".")[0].decode()
        item_id, status = scope["path"].removeprefix("/v1/items").strip("/"), 200
        if scope["method"] == "POST":
            body = b""
            while True:
                message = await receive()
                body += message["body"]
                if not message.get("more_body"):
                    break
            status, answer = 201, await add(slug, None, 0, body)
        elif item_id:
            answer = await get(slug, UUID(item_id), 0, b"")
        else:
            limit = _LIMIT.search(scope["query_string"])
            answer = await find(slug, None, int(limit[1]) if limit else 20, b"")
        if answer is None:
            status = 404
        payload = msgspec.json.encode(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": payload})

    return app
