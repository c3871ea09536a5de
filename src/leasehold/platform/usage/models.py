"""The tables of what tenants use: ids and numbers, which stay when a tenant is deleted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, PlatformModel


class TenantUsage(Identified, PlatformModel):
    """What a tenant has asked of all processes in one hour (UTC)."""

    __tablename__ = "tenant_usage"
    __table_args__ = (UniqueConstraint("tenant_id", "starts_at"), Index(None, "starts_at"))

    tenant_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    requests: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    database_us: Mapped[int] = mapped_column(BigInteger)
    """Microseconds in which transactions on its data were open."""
    received_bytes: Mapped[int] = mapped_column(BigInteger)
    sent_bytes: Mapped[int] = mapped_column(BigInteger)


class TenantSize(Identified, PlatformModel):
    """What a tenant kept in its schema, as it was last measured on one day (UTC)."""

    __tablename__ = "tenant_sizes"
    __table_args__ = (UniqueConstraint("tenant_id", "starts_at"), Index(None, "starts_at"))

    tenant_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    measured_at: Mapped[datetime]
    rows: Mapped[int] = mapped_column(BigInteger)
    """Estimated, as PostgreSQL counts them for its own use."""
    bytes: Mapped[int] = mapped_column(BigInteger)
    """Of its tables with their indexes."""


class FlushedMeter(Identified, PlatformModel):
    """A process that counts, and which of its batches was written last: so none is written twice."""

    __tablename__ = "usage_meters"
    __table_args__ = ({"info": {"travels": False}},)

    batch: Mapped[int] = mapped_column(BigInteger)
    flushed_at: Mapped[datetime]
