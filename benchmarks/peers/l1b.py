"""L1b, the limit with Leasehold's isolation: raw ASGI, asyncpg, one transaction that is bound by path and role."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from benchmarks.peers.raw import Item, NewItem, Page, application, item, open_connections, page

_COLUMNS = "id, title, description, created_at, updated_at"
_GET = f"SELECT {_COLUMNS} FROM items WHERE id = $1"
_FIND = f"SELECT {_COLUMNS} FROM items ORDER BY id LIMIT $1"
_ADD = f"INSERT INTO items ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5)"
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
    new, now = msgspec.json.decode(body, type=NewItem), datetime.now(UTC)
    made = Item(uuid7(), new.title, new.description, now, now)
    await fetch("BEGIN", slug, _ADD, made.id, made.title, made.description, now, now)
    return made


app = application(start, get, find, add)
