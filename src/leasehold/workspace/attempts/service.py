"""What can be done with failed attempts."""

from leasehold.core.attempts.service import AttemptService as Shared
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.attempts.models import Attempts
from leasehold.workspace.attempts.repository import AttemptsRepository


class AttemptService(Shared[Attempts]):
    """The failed attempts in the bound tenant, for one unit of work."""

    def __init__(self, session: TenantSession, *, pepper: bytes) -> None:
        super().__init__(AttemptsRepository(session=session), pepper=pepper)
