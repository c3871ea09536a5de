"""What authentication reads in a tenant's schema."""

from typing import Literal
from uuid import UUID

from sqlalchemy import select

from leasehold.core.repository import KeysetRepository
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.auth.models import TenantSecret
from leasehold.workspace.clients.models import ApiClient
from leasehold.workspace.users.models import User


class TenantSecretRepository(KeysetRepository[TenantSecret]):
    """The secrets of the bound tenant."""

    model_type = TenantSecret


async def subject_is_active(session: TenantSession, kind: Literal["user", "client"], subject: UUID) -> bool:
    """Tell whether a user or client of the bound tenant exists and is active."""
    model = User if kind == "user" else ApiClient
    return await session.scalar(select(model.is_active).where(model.id == subject)) is True


async def subject_name(session: TenantSession, kind: Literal["user", "client"], subject: UUID) -> str | None:
    """Return the e-mail address of a user or the name of a client, None for one that is gone."""
    column = User.email if kind == "user" else ApiClient.name
    model = User if kind == "user" else ApiClient
    return await session.scalar(select(column).where(model.id == subject))
