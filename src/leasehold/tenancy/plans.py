"""The table of plans, and how a change of one is announced."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from leasehold.core.models import Identified, PlatformModel, Timestamped


class Terms:
    """What is decided about a tenant, or about all of a plan: three objects, and what they do not name is as below."""

    limits: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")
    features: Mapped[dict[str, bool]] = mapped_column(JSONB, server_default="{}")
    rate_limits: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")
    terms_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Grows by one with each change of them."""


def are_objects(*columns: str) -> tuple[CheckConstraint, ...]:
    """Return the constraints without which one wrong row would keep every process from reading the others."""
    return tuple(CheckConstraint(f"jsonb_typeof({column}) = 'object'", name=column) for column in columns)


class Plan(Terms, Identified, Timestamped, PlatformModel):
    """What tenants buy. Its name is its key, and never changes."""

    __tablename__ = "plans"

    name: Mapped[str] = mapped_column(unique=True)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805
        return are_objects("limits", "features", "rate_limits")
