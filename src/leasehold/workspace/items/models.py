"""The table of items."""

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, TenantModel, Timestamped


class Item(Identified, Timestamped, TenantModel):
    """Something that a tenant keeps."""

    __tablename__ = "items"
    __table_args__ = (
        CheckConstraint("char_length(title) BETWEEN 1 AND 200", name="title_length"),
        CheckConstraint("char_length(description) <= 10000", name="description_length"),
    )

    title: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
