"""What can be done with the idempotency keys of a tenant."""

from leasehold.core.idempotency.service import IdempotencyService
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.idempotency.models import KeptAnswer
from leasehold.workspace.idempotency.repository import KeptAnswerRepository


class WorkspaceKeys(IdempotencyService[KeptAnswer]):
    """The idempotency keys of the bound tenant, for one unit of work."""

    def __init__(self, session: TenantSession) -> None:
        super().__init__(KeptAnswerRepository(session=session), place=session.tenant.id.bytes)
