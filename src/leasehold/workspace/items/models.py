"""The table of items."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.listing.filters import searchable
from leasehold.core.models import Identified, TenantModel, Timestamped
from leasehold.core.personal import EMPTY_LIST, EMPTY_TEXT, named, personal
from leasehold.workspace.users.models import User


class Item(Identified, Timestamped, TenantModel):
    """Something that a tenant keeps."""

    __tablename__ = "items"
    __table_args__ = (
        CheckConstraint("char_length(title) BETWEEN 1 AND 200", name="title_length"),
        CheckConstraint("char_length(description) <= 10000", name="description_length"),
        CheckConstraint("status IN ('open', 'done', 'archived')", name="status"),
        CheckConstraint("cardinality(tags) <= 20", name="tags_count"),
        Index(None, "updated_at", "id"),
    )

    title: Mapped[str] = mapped_column(info=personal(named("Item")))
    description: Mapped[str] = mapped_column(server_default="", info=personal(EMPTY_TEXT))
    status: Mapped[str] = mapped_column(server_default="open")
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey(User.id, ondelete="SET NULL"), index=True)
    tags: Mapped[list[str]] = mapped_column(server_default="{}", info=personal(EMPTY_LIST))
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    """Grows by one with each write."""
    deleted_at: Mapped[datetime | None]
    """When it was deleted; it can be restored."""


SEARCHED = searchable(Item.title, Item.description)
Index("ix_items_search", SEARCHED, postgresql_using="gin")
