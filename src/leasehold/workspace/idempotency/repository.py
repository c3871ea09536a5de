"""How kept answers are read and written."""

from leasehold.core.idempotency.repository import KeptAnswerRepository as Shared
from leasehold.workspace.idempotency.models import KeptAnswer


class KeptAnswerRepository(Shared[KeptAnswer]):
    """The kept answers of the bound tenant."""

    model_type = KeptAnswer
