"""What can be done with failed attempts."""

from leasehold.core.attempts.service import AttemptService as Shared
from leasehold.core.database import PlatformSession
from leasehold.platform.attempts.models import Attempts
from leasehold.platform.attempts.repository import AttemptsRepository


class AttemptService(Shared[Attempts]):
    """The failed attempts of who would be an admin, for one unit of work."""

    def __init__(self, session: PlatformSession, *, pepper: bytes) -> None:
        super().__init__(AttemptsRepository(session=session), pepper=pepper)
