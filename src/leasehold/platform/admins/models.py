"""The table of admins."""

from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, PlatformModel, Timestamped


class Admin(Identified, Timestamped, PlatformModel):
    """Somebody who runs the platform."""

    __tablename__ = "admins"

    name: Mapped[str] = mapped_column(unique=True)
    """By which they log in."""
    is_active: Mapped[bool] = mapped_column(server_default="true")
    scopes: Mapped[list[str]] = mapped_column(server_default="{}")
    """What they may do at most; each of their tokens may do less."""
