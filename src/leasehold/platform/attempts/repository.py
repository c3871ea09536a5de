"""How failed attempts are counted."""

from leasehold.core.attempts.repository import AttemptsRepository as Shared
from leasehold.platform.attempts.models import Attempts


class AttemptsRepository(Shared[Attempts]):
    """The failed attempts of who would be an admin."""

    model_type = Attempts
