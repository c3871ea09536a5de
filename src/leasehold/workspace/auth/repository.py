"""What authentication reads in a tenant's schema."""

from typing import Literal
from uuid import UUID

from msgspec import Struct
from sqlalchemy import bindparam, select

from leasehold.core.reads import Read, Reader
from leasehold.core.repository import KeysetRepository
from leasehold.workspace.auth.models import TenantSecret
from leasehold.workspace.clients.models import ApiClient
from leasehold.workspace.keys.models import ApiKey
from leasehold.workspace.users.models import User


class TenantSecretRepository(KeysetRepository[TenantSecret]):
    """The secrets of the bound tenant."""

    model_type = TenantSecret


class WrappedSecret(Struct):
    """A secret as it is stored."""

    wrapped: bytes


WRAPPED_SECRET = Read(select(TenantSecret.wrapped).where(TenantSecret.name == bindparam("name")), WrappedSecret)


class Subject(Struct):
    """What the subject of a credential is called, and whether it may still act."""

    name: str
    is_active: bool


SubjectKind = Literal["user", "client", "key"]
SUBJECT: dict[SubjectKind, Read[Subject]] = {
    "user": Read(select(User.email.label("name"), User.is_active).where(User.id == bindparam("subject")), Subject),
    "client": Read(select(ApiClient.name, ApiClient.is_active).where(ApiClient.id == bindparam("subject")), Subject),
    "key": Read(select(ApiKey.name, ApiKey.is_active).where(ApiKey.id == bindparam("subject")), Subject),
}


async def read_subject(reader: Reader, kind: SubjectKind, subject: UUID) -> Subject | None:
    """Return a user (by e-mail address), client or key of the bound tenant, None for one that is gone."""
    return await reader.one(SUBJECT[kind], subject=subject)
