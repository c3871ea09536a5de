"""How log-ins of admins are read and written."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update

from leasehold.core.clock import utc_now
from leasehold.core.repository import KeysetRepository
from leasehold.platform.admins.models import Admin
from leasehold.platform.auth.models import AdminLogin, AdminSession


class LoginOfAdmin(NamedTuple):
    """An admin, and what they log in by."""

    admin: Admin
    login: AdminLogin


class AdminLoginRepository(KeysetRepository[AdminLogin]):
    """What admins log in by."""

    model_type = AdminLogin

    async def by_name(self, name: str) -> LoginOfAdmin | None:
        """Return the admin of this name."""
        statement = select(Admin, AdminLogin).join(AdminLogin, AdminLogin.admin_id == Admin.id)
        row = (await self.session.execute(statement.where(Admin.name == name))).one_or_none()
        return LoginOfAdmin(*row) if row else None

    async def locked(self, admin_id: UUID) -> LoginOfAdmin | None:
        """Return an admin with their login; nobody else changes either meanwhile."""
        statement = (
            select(Admin, AdminLogin)
            .join(AdminLogin, AdminLogin.admin_id == Admin.id)
            .where(Admin.id == admin_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        row = (await self.session.execute(statement)).one_or_none()
        return LoginOfAdmin(*row) if row else None

    async def by_setup(self, digests: Sequence[bytes], *, lock: bool) -> LoginOfAdmin | None:
        """Return the active admin whose setup secret this is, unless it has expired."""
        statement = (
            select(Admin, AdminLogin)
            .join(AdminLogin, AdminLogin.admin_id == Admin.id)
            .where(AdminLogin.setup_digest.in_(digests), AdminLogin.setup_expires_at > utc_now(), Admin.is_active)
        )
        if lock:
            statement = statement.with_for_update()
        row = (await self.session.execute(statement)).one_or_none()
        return LoginOfAdmin(*row) if row else None

    async def with_totp(self, admin_ids: Sequence[UUID]) -> set[UUID]:
        """Return which of some admins are asked for a code."""
        statement = select(AdminLogin.admin_id).where(
            AdminLogin.admin_id.in_(admin_ids), AdminLogin.totp_confirmed_at.is_not(None)
        )
        return set(await self.session.scalars(statement))


class AliveSession(NamedTuple):
    """A log-in that is not over, and what its admin may do at most."""

    scopes: list[str]
    has_totp: bool
    expires_at: datetime


class AdminSessionRepository(KeysetRepository[AdminSession]):
    """The log-ins of admins."""

    model_type = AdminSession

    async def alive(self, session_id: UUID, admin_id: UUID) -> AliveSession | None:
        """Return a log-in of an active admin that is not over."""
        statement = (
            select(Admin.scopes, AdminLogin.totp_confirmed_at.is_not(None), AdminSession.expires_at)
            .join(Admin, Admin.id == AdminSession.admin_id)
            .join(AdminLogin, AdminLogin.admin_id == Admin.id)
            .where(
                AdminSession.id == session_id,
                AdminSession.admin_id == admin_id,
                AdminSession.ended_at.is_(None),
                AdminSession.expires_at > func.now(),
                Admin.is_active,
            )
        )
        row = (await self.session.execute(statement)).one_or_none()
        return AliveSession(*row) if row else None

    async def end(self, reason: str, *, admin_id: UUID, only: UUID | None = None, but: UUID | None = None) -> None:
        """End the log-ins of an admin that are not over: all, `only` one, or all `but` one."""
        statement = update(AdminSession).where(AdminSession.admin_id == admin_id, AdminSession.ended_at.is_(None))
        if only is not None:
            statement = statement.where(AdminSession.id == only)
        if but is not None:
            statement = statement.where(AdminSession.id != but)
        await self.session.execute(statement.values(ended_at=utc_now(), end_reason=reason))

    async def delete_over(self, before: datetime) -> None:
        """Delete the log-ins that ended or expired before a time."""
        over = or_(AdminSession.ended_at < before, AdminSession.expires_at < before)
        await self.session.execute(delete(AdminSession).where(over))
