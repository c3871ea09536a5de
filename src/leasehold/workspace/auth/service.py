"""Turns proofs of identity into access tokens.

It opens its own short sessions: a connection must not be held while a password hash is computed. What is refused is
returned, not raised, so that whatever a refusal leaves behind is committed.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from leasehold.core.credentials import secret_digest
from leasehold.core.errors import InvalidToken
from leasehold.core.passwords import Passwords
from leasehold.core.principal import Principal
from leasehold.core.reads import Reader
from leasehold.core.tokens import AccessTokens
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.auth.repository import read_subject
from leasehold.workspace.auth.schemas import IssuedToken, Me, TenantIdentity
from leasehold.workspace.clients.repository import ApiClientRepository
from leasehold.workspace.clients.service import accepts
from leasehold.workspace.scopes import ROLE_SCOPES, Role
from leasehold.workspace.users.repository import UserRepository
from leasehold.workspace.users.schemas import User
from leasehold.workspace.users.service import UserService

OpenSession = Callable[[], AbstractAsyncContextManager[TenantSession]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no token was issued, in the words of RFC 6749, section 5.2."""

    error: Literal["invalid_client", "invalid_scope"]
    description: str


class AuthService:
    """Authenticates the users and clients of one tenant."""

    def __init__(
        self,
        tenant: TenantRef,
        open_session: OpenSession,
        *,
        tokens: AccessTokens,
        passwords: Passwords,
        key: InstallationKey,
    ) -> None:
        self._tenant = tenant
        self._open_session = open_session
        self._tokens = tokens
        self._passwords = passwords
        self._key = key

    async def register(self, *, email: str, password: str, name: str) -> User:
        """Make a user with the role of a member.

        Raises:
            EmailTaken: another user of the tenant has this address.
        """
        password_hash = await self._passwords.hash(password)
        async with self._open_session() as session:
            return await UserService(session=session).add(
                email=email, name=name, role="member", password_hash=password_hash, by=None
            )

    async def login(self, *, email: str, password: str) -> IssuedToken | None:
        """Return a token with the scopes of the user's role, or None, after the same time, where anything is wrong."""
        async with self._open_session() as session:
            user = await UserRepository(session=session).by_email(email)
        matches = await self._passwords.matches(password, user.password_hash if user else None)
        if user is None or not matches or not user.is_active:
            return None
        return self._issue("user", user.id, ROLE_SCOPES[_role(user.role)])

    async def exchange(self, *, client_id: UUID, client_secret: str, scope: str | None) -> IssuedToken | Refusal:
        """Return a token for a client (RFC 6749, section 4.4), with all its scopes unless `scope` asks for fewer."""
        async with self._open_session() as session:
            client = await ApiClientRepository(session=session).get_one_or_none(id=client_id)
            pepper = await read_pepper(session, self._key, self._tenant)
        digest = secret_digest(client_secret, pepper=pepper)
        if not accepts(client, digest) or client is None or not client.is_active:
            return Refusal("invalid_client", "The client is unknown, or its secret is wrong.")
        held = frozenset(client.scopes)
        wanted = frozenset(scope.split()) if scope else held
        if excess := sorted(wanted - held):
            return Refusal("invalid_scope", f"The client does not hold: {' '.join(excess)}.")
        return self._issue("client", client.id, wanted)

    def _issue(self, kind: Literal["user", "client"], subject: UUID, scopes: frozenset[str]) -> IssuedToken:
        token = self._tokens.issue(kind=kind, subject=subject, tenant_id=self._tenant.id, scopes=scopes)
        return IssuedToken(token, "Bearer", self._tokens.lifetime_s, " ".join(sorted(scopes)))


async def is_active(reader: Reader, principal: Principal) -> bool:
    """Tell whether the user, client or key that asks is still there and active, in the bound tenant."""
    if principal.kind == "admin":
        return False
    found = await read_subject(reader, principal.kind, principal.subject)
    return found is not None and found.is_active


async def describe(reader: Reader, tenant: TenantRef, principal: Principal) -> Me:
    """Return who the subject of a credential is.

    Raises:
        InvalidToken: the subject is gone, or none of a tenant.
    """
    if principal.kind == "admin":
        raise InvalidToken
    found = await read_subject(reader, principal.kind, principal.subject)
    if found is None:
        raise InvalidToken
    return Me(
        tenant=TenantIdentity(tenant.id, tenant.slug),
        kind=principal.kind,
        subject=principal.subject,
        name=found.name,
        scopes=sorted(principal.scopes),
    )


def _role(text: str) -> Role:
    for role in ROLE_SCOPES:
        if role == text:
            return role
    raise ValueError(f"the database holds an unknown role: {text}")
