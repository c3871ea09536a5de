"""What can be done with API keys. Nobody gives a key more than they hold, nor for longer."""

from datetime import datetime, timedelta
from uuid import UUID

from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from msgspec import UNSET

from leasehold.core.actor import Actor
from leasehold.core.changes import applied, created
from leasehold.core.clock import utc_now
from leasehold.core.credentials import new_secret, secret_digest
from leasehold.core.errors import FieldError, Forbidden, Invalid, InvalidToken, ScopeNotHeld
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import TenantSession, announce_revocation
from leasehold.workspace.keys import models, schemas
from leasehold.workspace.keys.repository import ApiKeyRepository
from leasehold.workspace.scopes import grantable
from leasehold.workspace.settings.service import demand_precondition

SECRET_KIND = "key"
_ACTIONS = {"name": "key.renamed", "scopes": "key.scopes_changed", "is_active": ("key.disabled", "key.enabled")}


class InvalidExpiry(Invalid):
    """A key must expire in the future, within {days} days, and no later than the key that makes it."""

    type = "invalid-expiry"
    title = "Invalid expiry"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/expires_at", "is in the past, or too far ahead")], days=schemas.MAX_DAYS)


class ApiKeyService(SQLAlchemyAsyncRepositoryService[models.ApiKey, ApiKeyRepository]):
    """The API keys of the bound tenant, for one unit of work."""

    repository_type = ApiKeyRepository

    async def issue(self, data: schemas.ApiKeyCreate, *, pepper: bytes, by: Actor) -> schemas.NewApiKey:
        """Make a key of the user or client `by`, and return it with its secret, which cannot be read again.

        What a key makes belongs to the same user or client, and expires no later than itself.

        Raises:
            UnknownScope: one of the scopes does not exist.
            InsufficientScope: `by` does not hold one of them.
            InvalidExpiry: it has passed, or is too far ahead.
        """
        scopes = grantable(data.scopes, by=by)
        maker = await self._key_of(by)
        owner = {"user_id": maker.user_id, "client_id": maker.client_id} if maker else _owner(by)
        secret, digest = self._new_secret(pepper)
        row = models.ApiKey(
            name=data.name,
            digest=digest,
            scopes=scopes,
            is_active=True,
            expires_at=_checked(data.expires_at, maker),
            **owner,
        )
        key = await self.create(row)
        await AuditLog(self._session, by).record("key.created", ("key", key.id), changes=created(scopes=scopes))
        return _with_secret(key, secret)

    async def change(
        self, key_id: UUID, patch: schemas.ApiKeyPatch, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.ApiKey:
        """Change the fields that the patch has, and return the key; what is taken from it ends at once.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            UnknownScope: one of the scopes does not exist.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
            InsufficientScope: `by` does not hold one of them, or one of a key that is to be active again.
            ScopeNotHeld: the key does not hold one of them.
        """
        key = await self._locked(key_id, precondition)
        if patch.scopes is not UNSET:
            patch.scopes = grantable(patch.scopes, by=by)
            for scope in patch.scopes:
                if scope not in key.scopes:
                    raise ScopeNotHeld(scope)
        if patch.is_active is True and not key.is_active:
            by.demand(*(key.scopes if patch.scopes is UNSET else patch.scopes))
        changes = applied(key, patch, unkept={"name"})
        await self._session.flush()
        await AuditLog(self._session, by).record_changes(("key", key_id), changes, _ACTIONS)
        await self._announce(key_id)
        return self.to_schema(key, schema_type=schemas.ApiKey)

    async def rotate(
        self, key_id: UUID, rotation: schemas.KeyRotation, *, pepper: bytes, by: Actor
    ) -> schemas.NewApiKey:
        """Replace the secret, and return the key with the new one; the former is good for `grace_seconds` more.

        A second rotation within the grace ends the first secret: there are never more than two. Neither outlives the
        expiry that it had.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            InsufficientScope: `by` does not hold what the key may do.
            InvalidExpiry: the new expiry has passed, or is too far ahead.
        """
        key = await self.repository.get_locked(key_id)
        by.demand(*key.scopes)
        grace_ends_at = min(utc_now() + timedelta(seconds=rotation.grace_seconds), key.expires_at)
        key.previous_digest = key.digest if rotation.grace_seconds else None
        key.previous_expires_at = grace_ends_at if rotation.grace_seconds else None
        if rotation.expires_at is not UNSET:
            key.expires_at = _checked(rotation.expires_at, await self._key_of(by))
        secret, key.digest = self._new_secret(pepper)
        await AuditLog(self._session, by).record("key.secret_rotated", ("key", key_id))
        await self._announce(key_id)
        return _with_secret(key, secret)

    async def remove(self, key_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor) -> None:
        """Delete a key, which ends at once.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
        """
        await self._session.delete(await self._locked(key_id, precondition))
        await AuditLog(self._session, by).record("key.deleted", ("key", key_id))
        await self._announce(key_id)

    async def _locked(self, key_id: UUID, precondition: Precondition) -> models.ApiKey:
        key = await self.repository.get_locked(key_id)
        await demand_precondition(self._session, precondition, key, schemas.ApiKey.tagged_by)
        return key

    async def _key_of(self, by: Actor) -> models.ApiKey | None:
        """Return the key by which somebody asks, None for who asks by an access token."""
        if by.kind != "key":
            return None
        key = await self.repository.get_one_or_none(id=by.id)
        if key is None:
            raise InvalidToken
        return key

    def _new_secret(self, pepper: bytes) -> tuple[str, bytes]:
        secret = new_secret(SECRET_KIND, tenant_id=self._session.tenant.id)
        return secret, secret_digest(secret, pepper=pepper)

    async def _announce(self, key_id: UUID) -> None:
        await announce_revocation(self._session, key_id)

    @property
    def _session(self) -> TenantSession:
        session = self.repository.session
        if not isinstance(session, TenantSession):
            raise TypeError("API keys are changed on a TenantSession")
        return session


def _owner(by: Actor) -> dict[str, UUID]:
    if by.kind not in {"user", "client"} or by.id is None:
        raise Forbidden
    return {f"{by.kind}_id": by.id}


def _checked(expires_at: datetime, maker: models.ApiKey | None) -> datetime:
    now = utc_now()
    latest = now + timedelta(days=schemas.MAX_DAYS)
    if not now < expires_at <= (min(latest, maker.expires_at) if maker else latest):
        raise InvalidExpiry
    return expires_at


def _with_secret(key: models.ApiKey, secret: str) -> schemas.NewApiKey:
    return schemas.NewApiKey(key.id, secret, key.name, key.scopes, key.expires_at)
