"""The bases of all models: one metadata per plane, our own primary key and time stamps, and a table's rights."""

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from advanced_alchemy.base import BasicAttributes
from sqlalchemy import DateTime, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.ids import new_id

Rights = Literal["read_write", "read_update", "append_only", "read_only"]

PLATFORM_SCHEMA = "platform"
_NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
_TYPES: dict[Any, Any] = {
    str: Text(),
    UUID: Uuid(),
    datetime: DateTime(timezone=True),
    bytes: BYTEA(),
    list[str]: ARRAY(Text()),
}


class PlatformModel(BasicAttributes, DeclarativeBase):
    """A table of the shared schema."""

    metadata: ClassVar[MetaData] = MetaData(schema=PLATFORM_SCHEMA, naming_convention=_NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = _TYPES


class TenantModel(BasicAttributes, DeclarativeBase):
    """A table of every tenant's schema; it never names the schema, the bound search_path does."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=_NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = _TYPES


class Identified:
    """A UUIDv7 primary key, made in Python."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id, sort_order=-10)


class Timestamped:
    """When a row was made and last changed, in UTC."""

    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=91)


def table_rights(table: Table) -> Rights:
    """Return what the role that uses a table may do with it, as its model declares by `info={"rights": ...}`."""
    return table.info.get("rights", "read_write")


def travels(table: Table) -> bool:
    """Return whether an archive has the rows of a table; `info={"travels": False}` says that it has not."""
    return table.info.get("travels", True)
