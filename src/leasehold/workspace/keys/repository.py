"""How API keys are read and written."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import any_, bindparam, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from leasehold.core.errors import NotFound
from leasehold.core.listing.asked import PLAIN, Asked
from leasehold.core.listing.filters import Between, Equal
from leasehold.core.listing.listing import Listing
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import Read, Reader, columns_of
from leasehold.core.repository import UsedRepository
from leasehold.tenancy.archive.reissue import BoundToId
from leasehold.workspace.clients.models import ApiClient
from leasehold.workspace.keys import models, schemas
from leasehold.workspace.users.models import User

KEYS_BOUND_TO_ID = BoundToId(
    "API keys",
    "UPDATE api_keys SET is_active = false WHERE is_active AND expires_at > now() RETURNING name AS label",
)
"""A key names the tenant that it opens; under another id it is to be rotated, and switched on again."""


class StoredKey(Struct):
    """What a key may do, and what its user or client may do at present."""

    id: UUID
    digest: bytes
    previous_expires_at: datetime | None
    scopes: list[str]
    is_active: bool
    expires_at: datetime
    user_id: UUID | None
    role: str | None
    is_user_active: bool | None
    client_id: UUID | None
    client_scopes: list[str] | None
    is_client_active: bool | None


KEY_BY_ID = Read(
    select(*columns_of(models.ApiKey, schemas.ApiKey)).where(models.ApiKey.id == bindparam("key_id")), schemas.ApiKey
)
KEYS = Listing(
    models.ApiKey,
    schemas.ApiKey,
    filters={
        "is_active": Equal(models.ApiKey.is_active, bool),
        "user_id": Equal(models.ApiKey.user_id, UUID),
        "client_id": Equal(models.ApiKey.client_id, UUID),
        "created_at": Between(models.ApiKey.created_at),
        "expires_at": Between(models.ApiKey.expires_at),
    },
)
_DIGESTS = bindparam("digests", type_=ARRAY(BYTEA))
KEY_BY_DIGEST = Read(
    select(
        models.ApiKey.id,
        models.ApiKey.digest,
        models.ApiKey.previous_expires_at,
        models.ApiKey.scopes,
        models.ApiKey.is_active,
        models.ApiKey.expires_at,
        models.ApiKey.user_id,
        User.role,
        User.is_active.label("is_user_active"),
        models.ApiKey.client_id,
        ApiClient.scopes.label("client_scopes"),
        ApiClient.is_active.label("is_client_active"),
    )
    .outerjoin(User, User.id == models.ApiKey.user_id)
    .outerjoin(ApiClient, ApiClient.id == models.ApiKey.client_id)
    .where(or_(models.ApiKey.digest == any_(_DIGESTS), models.ApiKey.previous_digest == any_(_DIGESTS))),
    StoredKey,
)


class ApiKeyReads:
    """The API keys of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager, asked: Asked = PLAIN) -> Page[schemas.ApiKey]:
        """Return one page of API keys in the order they were made."""
        return await KEYS.page(self._reader, pager, asked)

    async def find(self, key_id: UUID) -> schemas.ApiKey:
        """Return an API key.

        Raises:
            NotFound: there is none with this id.
        """
        key = await self._reader.one(KEY_BY_ID, key_id=key_id)
        if key is None:
            raise NotFound
        return key

    async def by_digest(self, digests: Sequence[bytes]) -> StoredKey | None:
        """Return the API key whose present or former secret has one of these digests."""
        return await self._reader.one(KEY_BY_DIGEST, digests=list(digests))


class ApiKeyRepository(UsedRepository[models.ApiKey]):
    """The API keys of the bound tenant, for who writes."""

    model_type = models.ApiKey
