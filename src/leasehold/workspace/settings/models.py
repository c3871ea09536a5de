"""The table of a tenant's settings, which has one row or, as long as nothing was decided, none."""

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, TenantModel, Timestamped


class TenantSettings(Identified, Timestamped, TenantModel):
    """The settings of the tenant; a column that is null has its default."""

    __tablename__ = "tenant_settings"
    __table_args__ = (
        CheckConstraint("is_only", name="is_only"),
        CheckConstraint("registration IN ('open', 'invite_only', 'closed')", name="registration"),
    )

    is_only: Mapped[bool] = mapped_column(unique=True, server_default="true")
    registration: Mapped[str | None]
    require_if_match: Mapped[bool | None]
