"""The columns of a count of failed attempts, the same in each plane."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified


class Attempts(Identified):
    """The failures of one account, or from one address, since the last success or the last quiet day."""

    __tablename__ = "attempts"

    key: Mapped[bytes] = mapped_column(unique=True)
    """A digest of whom is counted: it names nobody, and an unknown account has one like any other."""
    failures: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime]
    blocked_until_at: Mapped[datetime]
