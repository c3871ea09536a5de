"""FastAPI and SQLAlchemy's ORM as their guides show it: a session that knows the tenant."""

import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ARRAY, BigInteger, DateTime, Text, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

POOL = int(os.environ["BENCH_POOL"])
URL = os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")

app = FastAPI()
engine = create_async_engine(URL, pool_size=POOL, max_overflow=0)
make_session = async_sessionmaker(engine, expire_on_commit=False)


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012


class Tenant(Base):
    __tablename__ = "tenants"
    __table_args__ = {"schema": "platform"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str]
    schema_name: Mapped[str]


class Item(Base):
    __tablename__ = "items"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    title: Mapped[str]
    description: Mapped[str]
    status: Mapped[str]
    owner_id: Mapped[UUID | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class ItemIn(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=10_000)
    status: Literal["open", "done", "archived"] = "open"
    owner_id: UUID | None = None
    tags: list[str] = []


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    description: str
    status: str
    owner_id: UUID | None
    tags: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class PageOut(BaseModel):
    items: list[ItemOut]
    next_cursor: UUID | None
    has_more: bool


async def tenant_session(request: Request) -> AsyncGenerator[AsyncSession]:
    slug = request.headers["host"].partition(".")[0]
    async with make_session.begin() as session:
        schema = await session.scalar(select(Tenant.schema_name).where(Tenant.slug == slug))
        if schema is None:
            raise HTTPException(404)
        await session.execute(text(f'SET LOCAL search_path = "{schema}"'))
        yield session


TenantSession = Annotated[AsyncSession, Depends(tenant_session)]


@app.get("/v1/items/{item_id}")
async def get_item(item_id: UUID, session: TenantSession) -> ItemOut:
    item = await session.get(Item, item_id)
    if item is None or item.deleted_at is not None:
        raise HTTPException(404)
    return ItemOut.model_validate(item)


@app.get("/v1/items")
async def list_items(session: TenantSession, limit: int = 20) -> PageOut:
    found = (
        await session.scalars(select(Item).where(Item.deleted_at.is_(None)).order_by(Item.id).limit(limit + 1))
    ).all()
    items = [ItemOut.model_validate(item) for item in found[:limit]]
    has_more = len(found) > limit
    return PageOut(items=items, next_cursor=items[-1].id if has_more else None, has_more=has_more)


@app.post("/v1/items", status_code=201)
async def create_item(data: ItemIn, session: TenantSession) -> ItemOut:
    item = Item(**data.model_dump())
    session.add(item)
    await session.flush()
    return ItemOut.model_validate(item)
