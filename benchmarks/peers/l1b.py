"""L1b, the limit with Leasehold's isolation: raw ASGI, asyncpg, one transaction that is bound by path and role."""

from typing import Any
from uuid import UUID

import msgspec

from benchmarks.peers.raw import COLUMNS, Item, NewItem, Page, application, item, made, open_connections, page

_GET = f"SELECT {COLUMNS} FROM items WHERE id = $1 AND deleted_at IS NULL"
_FIND = f"SELECT {COLUMNS} FROM items WHERE deleted_at IS NULL ORDER BY id LIMIT $1"
_ADD = f"INSERT INTO items ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_state: dict[str, Any] = {}
_bindings: dict[str, str] = {}


async def start() -> None:
    _state["free"] = await open_connections()
    connection = await _state["free"].get()
    for slug, schema, role in await connection.fetch("SELECT slug, schema_name, role_name FROM platform.tenants"):
        _bindings[slug] = f'; SET LOCAL search_path = "{schema}", pg_temp; SET LOCAL ROLE "{role}"'
    _state["free"].put_nowait(connection)


async def fetch(begin: str, slug: str, sql: str, *arguments: object) -> list[Any]:
    connection = await _state["free"].get()
    await connection.execute(begin + _bindings[slug])
    rows = await connection.fetch(sql, *arguments)
    await connection.execute("COMMIT")
    # Not in a `finally`: after an error it would be in a failed transaction, and the run ends anyway.
    _state["free"].put_nowait(connection)
    return rows


async def get(slug: str, item_id: UUID | None, _limit: int, _body: bytes) -> Item | None:
    rows = await fetch("BEGIN READ ONLY", slug, _GET, item_id)
    return item(rows[0]) if rows else None


async def find(slug: str, _item_id: UUID | None, limit: int, _body: bytes) -> Page:
    return page(await fetch("BEGIN READ ONLY", slug, _FIND, limit + 1), limit)


async def add(slug: str, _item_id: UUID | None, _limit: int, body: bytes) -> Item:
    new = made(msgspec.json.decode(body, type=NewItem))
    await fetch("BEGIN", slug, _ADD, *msgspec.structs.astuple(new))
    return new


app = application(start, get, find, add)
