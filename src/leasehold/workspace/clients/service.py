"""What can be done with API clients."""

from collections.abc import Sequence

from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService

from leasehold.core.credentials import new_secret, secret_digest
from leasehold.core.errors import Invalid
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients import models, schemas
from leasehold.workspace.clients.repository import ApiClientRepository
from leasehold.workspace.scopes import ALL_SCOPES

SECRET_KIND = "client"


class UnknownScope(Invalid):
    """There is no scope {scope}; there are: {known}."""

    type = "unknown-scope"
    title = "Unknown scope"


class ApiClientService(SQLAlchemyAsyncRepositoryService[models.ApiClient, ApiClientRepository]):
    """The API clients of the bound tenant, for one unit of work."""

    repository_type = ApiClientRepository

    async def issue(
        self, *, tenant: TenantRef, name: str, scopes: Sequence[str], pepper: bytes
    ) -> schemas.NewApiClient:
        """Make a client and return it with its secret, which cannot be read again.

        Raises:
            UnknownScope: one of the scopes does not exist.
        """
        for scope in scopes:
            if scope not in ALL_SCOPES:
                raise UnknownScope(scope=scope, known=", ".join(sorted(ALL_SCOPES)))
        secret = new_secret(SECRET_KIND, tenant_id=tenant.id)
        row = models.ApiClient(
            name=name,
            secret_digest=secret_digest(secret, pepper=pepper),
            scopes=sorted(set(scopes)),
            is_active=True,
        )
        client = await self.create(row)
        return schemas.NewApiClient(client.id, secret, client.name, client.scopes)
