"""What authentication reads in a tenant's schema."""

from typing import Literal
from uuid import UUID

from msgspec import Struct
from sqlalchemy import bindparam, select

from leasehold.core.reads import Read, Reader
from leasehold.core.repository import KeysetRepository
from leasehold.workspace.auth.models import TenantSecret
from leasehold.workspace.clients.models import ApiClient
from leasehold.workspace.users.models import User


class TenantSecretRepository(KeysetRepository[TenantSecret]):
    """The secrets of the bound tenant."""

    model_type = TenantSecret


class Subject(Struct):
    """What a token's subject is called, and whether it may still act."""

    name: str
    is_active: bool


SUBJECT: dict[Literal["user", "client"], Read[Subject]] = {
    "user": Read(select(User.email.label("name"), User.is_active).where(User.id == bindparam("subject")), Subject),
    "client": Read(select(ApiClient.name, ApiClient.is_active).where(ApiClient.id == bindparam("subject")), Subject),
}


async def read_subject(reader: Reader, kind: Literal["user", "client"], subject: UUID) -> Subject | None:
    """Return a user (by e-mail address) or client of the bound tenant, None for one that is gone."""
    return await reader.one(SUBJECT[kind], subject=subject)
