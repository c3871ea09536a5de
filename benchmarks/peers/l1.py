"""L1, the limit without isolation: raw ASGI, asyncpg, names with their schema, one statement per request."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from benchmarks.peers.raw import Item, NewItem, Page, application, item, open_connections, page

_COLUMNS = "id, title, description, created_at, updated_at"
_state: dict[str, Any] = {}
_schemas: dict[str, str] = {}


async def start() -> None:
    _state["free"] = await open_connections()
    _schemas.update(await fetch("SELECT slug, schema_name FROM platform.tenants"))


async def fetch(sql: str, *arguments: object) -> list[Any]:
    connection = await _state["free"].get()
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        _state["free"].put_nowait(connection)


async def get(slug: str, item_id: UUID | None, _limit: int, _body: bytes) -> Item | None:
    rows = await fetch(f'SELECT {_COLUMNS} FROM "{_schemas[slug]}".items WHERE id = $1', item_id)
    return item(rows[0]) if rows else None


async def find(slug: str, _item_id: UUID | None, limit: int, _body: bytes) -> Page:
    return page(await fetch(f'SELECT {_COLUMNS} FROM "{_schemas[slug]}".items ORDER BY id LIMIT $1', limit + 1), limit)


async def add(slug: str, _item_id: UUID | None, _limit: int, body: bytes) -> Item:
    new, now = msgspec.json.decode(body, type=NewItem), datetime.now(UTC)
    made = Item(uuid7(), new.title, new.description, now, now)
    sql = f'INSERT INTO "{_schemas[slug]}".items ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5)'
    await fetch(sql, made.id, made.title, made.description, now, now)
    return made


app = application(start, get, find, add)
