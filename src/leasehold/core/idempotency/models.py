"""The columns of a kept key, the same in each plane."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.models import Identified
from leasehold.core.personal import goes


class KeptAnswer(Identified):
    """What was answered to a request that had a key."""

    subject: Mapped[UUID]
    """Who asked: a user, an API client or an admin."""
    key: Mapped[str]
    fingerprint: Mapped[bytes]
    status: Mapped[int] = mapped_column(BigInteger)
    headers: Mapped[Any] = mapped_column(JSONB)
    body: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    @declared_attr.directive
    def __table_args__(self) -> tuple[Any, ...]:
        """Return the constraints and the index by which expired rows are found."""
        return (
            UniqueConstraint("subject", "key"),
            CheckConstraint("char_length(key) BETWEEN 1 AND 255", name="key_length"),
            Index(None, "created_at"),
            {"info": goes("nowhere")},
        )
