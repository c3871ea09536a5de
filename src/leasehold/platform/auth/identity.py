"""What proving who an admin is needs: the parts of the process, and the repositories of one short transaction.

As for the users of tenants: no connection is held while a password is hashed, and what must survive a refusal is
returned, not raised, and so is committed.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Forbidden
from leasehold.core.passwords import Passwords
from leasehold.core.principal import Principal
from leasehold.core.tokens import AccessTokens
from leasehold.core.vault import InstallationKey
from leasehold.platform.attempts.service import AttemptService
from leasehold.platform.auth.models import AdminLogin
from leasehold.platform.auth.pepper import platform_peppers
from leasehold.platform.auth.repository import AdminLoginRepository, AdminSessionRepository
from leasehold.platform.auth.second_factor import SecondFactor
from leasehold.tenancy.audit import AuditLog


class LoggedInOnly(Forbidden):
    """Only an admin who has logged in can do this, and no token of a script."""

    type = "logged-in-only"
    title = "Logged in only"


def session_id_of(principal: Principal) -> UUID:
    """Return the log-in by which an admin asks.

    Raises:
        LoggedInOnly: they ask by a script's token.
    """
    if principal.session_id is None:
        raise LoggedInOnly
    return principal.session_id


@dataclass(frozen=True)
class AdminDesk:
    """What one transaction is given."""

    session: PlatformSession
    key: InstallationKey
    by: Actor

    @cached_property
    def log(self) -> AuditLog:
        """What is done in it is written down here."""
        return AuditLog(self.session, self.by)

    @cached_property
    def logins(self) -> AdminLoginRepository:
        """What admins log in by."""
        return AdminLoginRepository(session=self.session)

    @cached_property
    def sessions(self) -> AdminSessionRepository:
        """Their log-ins."""
        return AdminSessionRepository(session=self.session)

    @cached_property
    def peppers(self) -> tuple[bytes, ...]:
        """The keys of what is stored as a digest."""
        return platform_peppers(self.key)

    @cached_property
    def attempts(self) -> AttemptService:
        """Their failed attempts."""
        return AttemptService(self.session, pepper=self.peppers[0])

    def second_factor(self, login: AdminLogin) -> SecondFactor:
        """Return the second factor of an admin."""
        return SecondFactor(login, self.key)


@dataclass(frozen=True, slots=True)
class AdminIdentity:
    """The parts of the process that prove who an admin is."""

    open_session: Callable[[], AbstractAsyncContextManager[PlatformSession]]
    tokens: AccessTokens
    passwords: Passwords
    key: InstallationKey
    session_life: timedelta
    """For how long a log-in lasts, however often its token is renewed."""
    demands_totp: bool
    """Whether an admin without a second factor may do nothing but add one."""
    issuer: str
    """What authenticator apps call the platform."""
    by: Actor

    @asynccontextmanager
    async def desk(self) -> AsyncGenerator[AdminDesk]:
        """Open a transaction, and commit it at the end."""
        async with self.open_session() as session:
            yield AdminDesk(session, self.key, self.by)
