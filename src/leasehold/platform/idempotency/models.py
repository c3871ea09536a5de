"""The table of the answers to requests that had an idempotency key."""

from leasehold.core.idempotency.models import KeptAnswer as Columns
from leasehold.core.models import PlatformModel


class KeptAnswer(Columns, PlatformModel):
    """What was answered to a request of one of the platform's admins."""

    __tablename__ = "idempotency_keys"
