"""What clients do at the OAuth endpoints. Refusals are results: their words are those of the standards."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from leasehold.core.credentials import is_secret, secret_digests
from leasehold.core.errors import InvalidToken
from leasehold.core.reads import Reader
from leasehold.workspace.auth.identity import Identity
from leasehold.workspace.auth.repository import read_subject
from leasehold.workspace.auth.schemas import IssuedToken
from leasehold.workspace.clients.models import ApiClient
from leasehold.workspace.clients.repository import ApiClientRepository
from leasehold.workspace.clients.service import SECRET_KIND, accepts
from leasehold.workspace.keys.service import SECRET_KIND as KEY_KIND
from leasehold.workspace.oauth.schemas import Introspection
from leasehold.workspace.scopes import ROLE_SCOPES, as_role

UNKNOWN_CLIENT = "The client is unknown, or its secret is wrong."
_NOT_ACTIVE = Introspection(active=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Id and secret as a client sent them."""

    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was refused, in the words of RFC 6749, section 5.2, and RFC 7009, section 2.2.1."""

    error: Literal["invalid_client", "invalid_scope", "invalid_grant", "unsupported_token_type"]
    description: str


class OAuthService:
    """The OAuth endpoints of one tenant."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def authenticate(self, credentials: Credentials) -> ApiClient | None:
        """Return the active client that has these credentials, after the same time for one that is not there."""
        tenant_id = self._identity.tenant.id
        client_id = _parsed(credentials.client_id)
        if client_id is None or not is_secret(credentials.client_secret, SECRET_KIND, tenant_id=tenant_id):
            return None
        async with self._identity.desk() as desk:
            clients = ApiClientRepository(session=desk.session)
            client = await clients.get_one_or_none(id=client_id)
            digests = secret_digests(credentials.client_secret, peppers=desk.peppers)
            if not accepts(client, digests) or client is None or not client.is_active:
                reason = "unknown client or wrong secret" if client is None or client.is_active else "disabled client"
                await desk.log.record("token.refused", ("client", client_id), outcome="refused", reason=reason)
                return None
            if client.secret_digest in digests[1:]:
                await clients.store_anew(client.id, former_digest=client.secret_digest, digest=digests[0])
        return client

    async def issue(self, client: ApiClient, *, scope: str | None) -> IssuedToken | Refusal:
        """Return a token for a client (RFC 6749, section 4.4), with all its scopes unless `scope` asks for fewer."""
        held = frozenset(client.scopes)
        wanted = frozenset(scope.split()) if scope else held
        if excess := sorted(wanted - held):
            async with self._identity.desk() as desk:
                target = ("client", client.id)
                await desk.log.record("token.refused", target, outcome="refused", reason="scope not held")
            return Refusal("invalid_scope", f"The client does not hold: {' '.join(excess)}.")
        tokens = self._identity.tokens
        token = tokens.issue(kind="client", subject=client.id, tenant_id=self._identity.tenant.id, scopes=wanted)
        return IssuedToken(token, "Bearer", tokens.lifetime_s, " ".join(sorted(wanted)))

    async def revoke(self, token: str) -> Refusal | None:
        """End the session of a user's refresh or access token (RFC 7009); nothing happens for an unknown token.

        To have a token is enough: who has it could also use it. The access token of a client lives for minutes and
        cannot be taken back alone, and an API key is no token.
        """
        if is_secret(token, KEY_KIND, tenant_id=self._identity.tenant.id):
            return Refusal("unsupported_token_type", "An API key is disabled or deleted at /v1/keys.")
        try:
            principal = self._identity.tokens.verify(token)
        except InvalidToken:
            async with self._identity.desk() as desk:
                user_id = await desk.sessions.end_by(token)
                if user_id is not None:
                    await desk.log.record("token.revoked", ("user", user_id))
            return None
        if principal.tenant_id != self._identity.tenant.id:
            return None
        if principal.kind == "admin":
            return Refusal("unsupported_token_type", "An impersonation is ended by an admin of the platform.")
        if principal.session_id is None:
            return Refusal("unsupported_token_type", "The access token of a client ends with the client, or by itself.")
        async with self._identity.desk() as desk:
            await desk.sessions.end("revoked", user_id=principal.subject, only=principal.session_id)
            await desk.log.record("token.revoked", ("user", principal.subject))
        return None

    async def introspect(self, token: str, reader: Reader) -> Introspection:
        """Return what is known of a token of this tenant (RFC 7662, section 2.2)."""
        try:
            principal = self._identity.tokens.verify(token)
        except InvalidToken:
            return await self._introspect_refresh_token(token)
        if principal.tenant_id != self._identity.tenant.id:
            return _NOT_ACTIVE
        found = await read_subject(reader, principal)
        if found is None or not found.is_active or not principal.scopes <= found.scopes:
            return _NOT_ACTIVE
        return Introspection(
            active=True,
            scope=" ".join(sorted(principal.scopes)),
            client_id=str(principal.subject),
            username=found.name,
            token_type="Bearer",
            exp=principal.expires_at,
            sub=str(principal.subject),
            tenant=str(principal.tenant_id),
        )

    async def _introspect_refresh_token(self, token: str) -> Introspection:
        async with self._identity.desk() as desk:
            found = await desk.sessions.user_of(token)
            if found is None:
                return _NOT_ACTIVE
            return Introspection(
                active=True,
                scope=" ".join(sorted(ROLE_SCOPES[as_role(found.user.role)])),
                client_id=str(found.user.id),
                username=found.user.email,
                token_type="refresh_token",
                exp=int(min(found.token.expires_at, found.session.expires_at).timestamp()),
                sub=str(found.user.id),
                tenant=str(self._identity.tenant.id),
            )


def _parsed(client_id: str) -> UUID | None:
    try:
        return UUID(client_id)
    except ValueError:
        return None
