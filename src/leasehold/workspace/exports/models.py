"""The tables of a tenant's exports. The file is in the database, so whatever process makes it, any can hand it out."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.models import Identified, TenantModel
from leasehold.core.personal import goes


class TenantExport(Identified, TenantModel):
    """One export: it waits for a worker, is ready to be fetched, or has failed."""

    __tablename__ = "tenant_exports"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'ready', 'failed')", name="state"),
        Index("uq_tenant_exports_waiting", "state", unique=True, postgresql_where=text("state = 'waiting'")),
        {"info": {"travels": False, **goes("nowhere")}},
    )

    state: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    taken_at: Mapped[datetime | None]
    """The moment whose rows it has."""
    expires_at: Mapped[datetime]
    """When it can be fetched no more, and is deleted soon after."""
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)


class ExportChunk(Identified, TenantModel):
    """A part of the file of an export."""

    __tablename__ = "export_chunks"
    __table_args__ = (UniqueConstraint("export_id", "position"), {"info": {"travels": False, **goes("nowhere")}})

    export_id: Mapped[UUID] = mapped_column(ForeignKey(TenantExport.id, ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(BigInteger)
    """From 0 on."""
    data: Mapped[bytes]
