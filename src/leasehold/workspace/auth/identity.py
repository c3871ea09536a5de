"""What proving an identity needs: the parts of the process, and the services of one short transaction.

A connection must not be held while a password hash is computed, so whoever proves something opens a transaction
before the hash and another behind it. What must survive a refusal is returned, not raised, and so is committed.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.errors import Forbidden
from leasehold.core.passwords import Passwords
from leasehold.core.principal import Principal
from leasehold.core.tokens import AccessTokens
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import OpenSession, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.attempts.service import AttemptService
from leasehold.workspace.auth.pepper import read_peppers
from leasehold.workspace.confirmations.repository import ConfirmationRepository
from leasehold.workspace.factors.service import FactorService
from leasehold.workspace.invitations.service import InvitationService
from leasehold.workspace.sessions.service import Lifetimes, SessionService
from leasehold.workspace.users.repository import UserRepository
from leasehold.workspace.users.service import UserService


class UsersOnly(Forbidden):
    """Only a user who has logged in can do this."""

    type = "users-only"
    title = "Users only"


def user_id_of(principal: Principal) -> UUID:
    """Return the id of the user that has logged in.

    Raises:
        UsersOnly: it is no user.
    """
    if principal.kind != "user":
        raise UsersOnly
    return principal.subject


@dataclass(frozen=True)
class Desk:
    """The services of one transaction."""

    session: TenantSession
    peppers: Sequence[bytes]
    """The keys of what is stored as a digest; the first is the one to store by."""
    key: InstallationKey
    lifetimes: Lifetimes
    by: Actor

    @cached_property
    def log(self) -> AuditLog:
        """What is done in it is written down here."""
        return AuditLog(self.session, self.by)

    @cached_property
    def users(self) -> UserRepository:
        """The users as rows."""
        return UserRepository(session=self.session)

    @cached_property
    def user_service(self) -> UserService:
        """The users as a service."""
        return UserService(session=self.session)

    @cached_property
    def sessions(self) -> SessionService:
        """Their sessions."""
        return SessionService(self.session, peppers=self.peppers, lifetimes=self.lifetimes)

    @cached_property
    def attempts(self) -> AttemptService:
        """Their failed attempts."""
        return AttemptService(self.session, pepper=self.peppers[0])

    @cached_property
    def factors(self) -> FactorService:
        """Their second factors."""
        return FactorService(self.session, key=self.key, peppers=self.peppers)

    @cached_property
    def confirmations(self) -> ConfirmationRepository:
        """What they were asked to confirm by mail."""
        return ConfirmationRepository(session=self.session)

    @cached_property
    def invitations(self) -> InvitationService:
        """Who is invited to become one."""
        return InvitationService(session=self.session)


@dataclass(frozen=True, slots=True)
class Identity:
    """The parts of the process that prove identities, for one tenant."""

    tenant: TenantRef
    open_session: OpenSession
    tokens: AccessTokens
    passwords: Passwords
    key: InstallationKey
    lifetimes: Lifetimes
    by: Actor

    @asynccontextmanager
    async def desk(self) -> AsyncGenerator[Desk]:
        """Open a transaction, and commit it at the end."""
        async with self.open_session() as session:
            peppers = await read_peppers(session, self.key, self.tenant)
            yield Desk(session, peppers, self.key, self.lifetimes, self.by)
