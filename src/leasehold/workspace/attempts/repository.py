"""How failed attempts are counted."""

from leasehold.core.attempts.repository import AttemptsRepository as Shared
from leasehold.workspace.attempts.models import Attempts


class AttemptsRepository(Shared[Attempts]):
    """The failed attempts in the bound tenant."""

    model_type = Attempts
