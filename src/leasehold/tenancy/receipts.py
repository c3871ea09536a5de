"""Receipts: which tenant was made for a request that had an idempotency key.

A tenant comes into being in a transaction of the owner, which ends before that of the request. A process that dies in
between leaves a tenant and no answer. The receipt is written in the owner's transaction, so that it is there if, and
only if, the tenant is; the request that is sent again finds it.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, CursorResult, Index, UniqueConstraint, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.database import PlatformSession
from leasehold.core.idempotency.key import KEPT, IdempotencyKey
from leasehold.core.ids import new_id
from leasehold.core.models import Identified, PlatformModel
from leasehold.tenancy.names import literal

RECEIPT_TAKEN = "uq_provisioning_receipts_subject_key"
"""The constraint that a second transaction for the same key violates, once the first has committed."""


class ProvisioningReceipt(Identified, PlatformModel):
    """The tenant that was made for a request of an admin."""

    __tablename__ = "provisioning_receipts"
    __table_args__ = (
        UniqueConstraint("subject", "key"),
        CheckConstraint("char_length(key) BETWEEN 1 AND 255", name="key_length"),
        Index(None, "created_at"),
    )

    subject: Mapped[UUID]
    key: Mapped[str]
    fingerprint: Mapped[bytes]
    tenant_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def receipt_sql(key: IdempotencyKey, tenant_id: UUID) -> str:
    """Return the statements that write a receipt, in the place of one that has expired."""
    # Whatever clients take for a key, as hexadecimal digits it cannot be taken for SQL.
    spelt = f"convert_from(decode('{key.text.encode().hex()}', 'hex'), 'UTF8')"
    subject = literal(str(key.subject))
    return (
        f"DELETE FROM platform.provisioning_receipts WHERE subject = {subject} AND key = {spelt} "
        f"AND created_at <= now() - make_interval(secs => {KEPT.total_seconds()}); "
        "INSERT INTO platform.provisioning_receipts (id, subject, key, fingerprint, tenant_id) "
        f"VALUES ({literal(str(new_id()))}, {subject}, {spelt}, decode('{key.fingerprint.hex()}', 'hex'), "
        f"{literal(str(tenant_id))})"
    )


async def tenant_on_receipt(session: PlatformSession, key: IdempotencyKey) -> UUID | None:
    """Return the tenant that was made for this request already.

    Raises:
        IdempotencyKeyReused: one was made for another request with this key.
    """
    table = ProvisioningReceipt
    receipt = await session.scalar(
        select(table).where(table.subject == key.subject, table.key == key.text, table.created_at > func.now() - KEPT)
    )
    if receipt is None:
        return None
    key.demand(receipt.fingerprint)
    return receipt.tenant_id


async def forget_receipts(session: PlatformSession, *, limit: int) -> int:
    """Delete up to `limit` receipts that have expired, and return how many they were."""
    table = ProvisioningReceipt
    expired = select(table.id).where(table.created_at <= func.now() - KEPT).limit(limit).cte("expired")
    result = await session.execute(delete(table).where(table.id.in_(select(expired.c.id))))
    return result.rowcount if isinstance(result, CursorResult) else 0
