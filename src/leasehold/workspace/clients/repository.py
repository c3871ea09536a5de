"""How API clients are read and written."""

from leasehold.core.repository import KeysetRepository
from leasehold.workspace.clients.models import ApiClient


class ApiClientRepository(KeysetRepository[ApiClient]):
    """The API clients of the bound tenant."""

    model_type = ApiClient
