"""What can be done with the idempotency keys of the platform."""

from leasehold.core.database import PlatformSession
from leasehold.core.idempotency.service import IdempotencyService
from leasehold.platform.idempotency.models import KeptAnswer
from leasehold.platform.idempotency.repository import KeptAnswerRepository


class PlatformKeys(IdempotencyService[KeptAnswer]):
    """The idempotency keys of the platform's admins, for one unit of work."""

    def __init__(self, session: PlatformSession) -> None:
        super().__init__(KeptAnswerRepository(session=session), place=b"platform")
