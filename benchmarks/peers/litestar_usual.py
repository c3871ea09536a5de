"""Litestar and Advanced Alchemy as their guides show it: the plugin's session, a provider, a service, autocommit."""

import os
from datetime import datetime
from typing import Literal
from uuid import UUID

from advanced_alchemy.base import AdvancedDeclarativeBase, CommonTableAttributes
from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
)
from advanced_alchemy.mixins import AuditColumns
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from litestar import Litestar, Request, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct, field
from sqlalchemy import ARRAY, BigInteger, Text, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7


class Tenant(CommonTableAttributes, AdvancedDeclarativeBase):
    __tablename__ = "tenants"
    __table_args__ = {"schema": "platform"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str]
    schema_name: Mapped[str]


class ItemModel(CommonTableAttributes, AuditColumns, AdvancedDeclarativeBase):
    # Not UUIDv7AuditBase, which wants a column more in the table.
    __tablename__ = "items"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    title: Mapped[str]
    description: Mapped[str]
    status: Mapped[str]
    owner_id: Mapped[UUID | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    deleted_at: Mapped[datetime | None]


class ItemCreate(Struct):
    title: str
    description: str = ""
    status: Literal["open", "done", "archived"] = "open"
    owner_id: UUID | None = None
    tags: list[str] = field(default_factory=list)


class Item(Struct):
    id: UUID
    title: str
    description: str
    status: str
    owner_id: UUID | None
    tags: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class Page(Struct):
    items: list[Item]
    next_cursor: UUID | None
    has_more: bool


class ItemService(SQLAlchemyAsyncRepositoryService[ItemModel]):
    class Repository(SQLAlchemyAsyncRepository[ItemModel]):
        model_type = ItemModel

    repository_type = Repository


async def provide_items(request: Request, db_session: NamedDependency[AsyncSession]) -> ItemService:
    slug = request.headers["host"].partition(".")[0]
    schema = await db_session.scalar(select(Tenant.schema_name).where(Tenant.slug == slug))
    if schema is None:
        raise NotFoundException
    await db_session.execute(text(f'SET LOCAL search_path = "{schema}"'))
    return ItemService(session=db_session)


@get("/v1/items/{item_id:uuid}")
async def get_item(item_id: FromPath[UUID], items: NamedDependency[ItemService]) -> Item:
    return items.to_schema(await items.get_one(id=item_id, deleted_at=None), schema_type=Item)


@get("/v1/items")
async def list_items(items: NamedDependency[ItemService], limit: FromQuery[int] = 20) -> Page:
    found = await items.list(
        statement=select(ItemModel).where(ItemModel.deleted_at.is_(None)).order_by(ItemModel.id).limit(limit + 1)
    )
    page = [items.to_schema(row, schema_type=Item) for row in found[:limit]]
    has_more = len(found) > limit
    return Page(page, page[-1].id if has_more else None, has_more)


@post("/v1/items")
async def create_item(data: JSONBody[ItemCreate], items: NamedDependency[ItemService]) -> Item:
    return items.to_schema(await items.create(data), schema_type=Item)


pool = int(os.environ["BENCH_POOL"])
alchemy = SQLAlchemyAsyncConfig(
    connection_string=os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"),
    before_send_handler="autocommit",
    session_config=AsyncSessionConfig(expire_on_commit=False),
    engine_config=EngineConfig(pool_size=pool, max_overflow=0),
)
app = Litestar(
    route_handlers=[get_item, list_items, create_item],
    dependencies={"items": Provide(provide_items)},
    plugins=[SQLAlchemyPlugin(config=alchemy)],
)
