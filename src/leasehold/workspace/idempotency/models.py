"""The table of the answers to requests that had an idempotency key."""

from leasehold.core.idempotency.models import KeptAnswer as Columns
from leasehold.core.models import TenantModel


class KeptAnswer(Columns, TenantModel):
    """What was answered to a request of one of the tenant's users or clients."""

    __tablename__ = "idempotency_keys"
