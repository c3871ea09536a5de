"""L1, the limit without isolation: raw ASGI, asyncpg, names with their schema, one statement per request."""

from typing import Any
from uuid import UUID

import msgspec

from benchmarks.peers.raw import COLUMNS, Item, NewItem, Page, application, item, made, open_connections, page

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
    rows = await fetch(f'SELECT {COLUMNS} FROM "{_schemas[slug]}".items WHERE id = $1 AND deleted_at IS NULL', item_id)
    return item(rows[0]) if rows else None


async def find(slug: str, _item_id: UUID | None, limit: int, _body: bytes) -> Page:
    return page(
        await fetch(
            f'SELECT {COLUMNS} FROM "{_schemas[slug]}".items WHERE deleted_at IS NULL ORDER BY id LIMIT $1', limit + 1
        ),
        limit,
    )


async def add(slug: str, _item_id: UUID | None, _limit: int, body: bytes) -> Item:
    new = made(msgspec.json.decode(body, type=NewItem))
    sql = f'INSERT INTO "{_schemas[slug]}".items ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)'
    await fetch(sql, *msgspec.structs.astuple(new))
    return new


app = application(start, get, find, add)
