"""How API clients are read and written."""

from uuid import UUID

from sqlalchemy import bindparam, select, update

from leasehold.core.errors import NotFound
from leasehold.core.listing.asked import PLAIN, Asked
from leasehold.core.listing.filters import Between, Equal
from leasehold.core.listing.listing import Listing
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import Read, Reader, columns_of
from leasehold.core.repository import UsedRepository
from leasehold.tenancy.archive.reissue import BoundToId
from leasehold.workspace.clients import models, schemas

CLIENTS_BOUND_TO_ID = BoundToId(
    "secrets of API clients",
    "UPDATE api_clients SET secret_digest = '', previous_secret_digest = NULL, previous_secret_expires_at = NULL "
    "RETURNING name AS label",
)
"""So does the secret of a client; under another id it is to be rotated."""

CLIENT_BY_ID = Read(
    select(*columns_of(models.ApiClient, schemas.ApiClient)).where(models.ApiClient.id == bindparam("client_id")),
    schemas.ApiClient,
)
CLIENTS = Listing(
    models.ApiClient,
    schemas.ApiClient,
    sorts={"name": models.ApiClient.name},
    filters={"is_active": Equal(models.ApiClient.is_active, bool), "created_at": Between(models.ApiClient.created_at)},
    search=models.SEARCHED,
)


class ApiClientReads:
    """The API clients of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager, asked: Asked = PLAIN) -> Page[schemas.ApiClient]:
        """Return one page of API clients in the order they were made."""
        return await CLIENTS.page(self._reader, pager, asked)

    async def find(self, client_id: UUID) -> schemas.ApiClient:
        """Return an API client.

        Raises:
            NotFound: there is none with this id.
        """
        client = await self._reader.one(CLIENT_BY_ID, client_id=client_id)
        if client is None:
            raise NotFound
        return client


class ApiClientRepository(UsedRepository[models.ApiClient]):
    """The API clients of the bound tenant, for who writes."""

    model_type = models.ApiClient

    async def store_anew(self, client_id: UUID, *, former_digest: bytes, digest: bytes) -> None:
        """Keep a client's secret by another digest, unless it was replaced in the meantime."""
        table = models.ApiClient
        await self.session.execute(
            update(table)
            .where(table.id == client_id, table.secret_digest == former_digest)
            .values(secret_digest=digest, updated_at=table.updated_at)
        )
