"""What can be done with API clients. Nobody gives a client more than they hold."""

import hmac
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from msgspec import UNSET

from leasehold.core.actor import Actor
from leasehold.core.changes import applied, created
from leasehold.core.clock import utc_now
from leasehold.core.credentials import new_secret, secret_digest
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import TenantSession, announce_revocation
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients import models, schemas
from leasehold.workspace.clients.repository import ApiClientRepository
from leasehold.workspace.scopes import grantable
from leasehold.workspace.settings.service import demand_precondition

SECRET_KIND = "client"
_ACTIONS = {
    "name": "client.renamed",
    "scopes": "client.scopes_changed",
    "is_active": ("client.disabled", "client.enabled"),
}


class ApiClientService(SQLAlchemyAsyncRepositoryService[models.ApiClient, ApiClientRepository]):
    """The API clients of the bound tenant, for one unit of work."""

    repository_type = ApiClientRepository

    async def issue(
        self, *, tenant: TenantRef, name: str, scopes: Sequence[str], pepper: bytes, by: Actor
    ) -> schemas.NewApiClient:
        """Make a client and return it with its secret, which cannot be read again.

        Raises:
            UnknownScope: one of the scopes does not exist.
            InsufficientScope: `by` does not hold one of them.
        """
        held = grantable(scopes, by=by)
        secret = new_secret(SECRET_KIND, tenant_id=tenant.id)
        row = models.ApiClient(
            name=name, secret_digest=secret_digest(secret, pepper=pepper), scopes=held, is_active=True
        )
        client = await self.create(row)
        await AuditLog(self.repository.session, by).record(
            "client.created", ("client", client.id), changes=created(scopes=held)
        )
        return schemas.NewApiClient(client.id, secret, client.name, client.scopes)

    async def change(
        self, client_id: UUID, patch: schemas.ApiClientPatch, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.ApiClient:
        """Change the fields that the patch has, and return the client; tokens of one that is disabled end at once.

        Tokens that were issued before and say more than it may do from now on are refused within a second.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
            UnknownScope: one of the scopes does not exist.
            InsufficientScope: `by` does not hold one of them, or one of a client that is to be active again.
        """
        if patch.scopes is not UNSET:
            patch.scopes = grantable(patch.scopes, by=by)
        client = await self._locked(client_id, precondition)
        if patch.is_active is True and not client.is_active:
            by.demand(*(client.scopes if patch.scopes is UNSET else patch.scopes))
        changes = applied(client, patch, unkept={"name"})
        await self.repository.session.flush()
        await AuditLog(self.repository.session, by).record_changes(("client", client_id), changes, _ACTIONS)
        await self._announce(client_id)
        return self.to_schema(client, schema_type=schemas.ApiClient)

    async def rotate(
        self, client_id: UUID, *, tenant: TenantRef, grace_s: int, pepper: bytes, by: Actor
    ) -> schemas.NewApiClient:
        """Replace the secret, and return the client with the new one; the former is good for `grace_s` seconds more.

        A second rotation within the grace ends the first secret: there are never more than two.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            InsufficientScope: `by` does not hold what the client may do.
        """
        client = await self.repository.get_locked(client_id)
        by.demand(*client.scopes)
        before = client.previous_secret_expires_at
        secret = new_secret(SECRET_KIND, tenant_id=tenant.id)
        client.previous_secret_digest = client.secret_digest if grace_s else None
        client.previous_secret_expires_at = utc_now() + timedelta(seconds=grace_s) if grace_s else None
        client.secret_digest = secret_digest(secret, pepper=pepper)
        await AuditLog(self.repository.session, by).record(
            "client.secret_rotated",
            ("client", client_id),
            changes={"previous_secret_expires_at": {"from": before, "to": client.previous_secret_expires_at}},
        )
        return schemas.NewApiClient(client.id, secret, client.name, client.scopes)

    async def remove(self, client_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor) -> None:
        """Delete a client, whose tokens end with it.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
        """
        await self.repository.session.delete(await self._locked(client_id, precondition))
        await AuditLog(self.repository.session, by).record("client.deleted", ("client", client_id))
        await self._announce(client_id)

    async def _locked(self, client_id: UUID, precondition: Precondition) -> models.ApiClient:
        client = await self.repository.get_locked(client_id)
        await demand_precondition(self.repository.session, precondition, client, schemas.ApiClient.tagged_by)
        return client

    async def _announce(self, client_id: UUID) -> None:
        session = self.repository.session
        if not isinstance(session, TenantSession):
            raise TypeError("API clients are changed on a TenantSession")
        await announce_revocation(session, client_id)


def accepts(client: models.ApiClient | None, digests: Sequence[bytes]) -> bool:
    """Tell whether a secret with one of these digests is one of a client's.

    It takes the same time for a client that is not there.
    """
    present = _any_equals(digests, client.secret_digest if client else b"")
    former = client.previous_secret_digest if client else None
    expires_at = client.previous_secret_expires_at if client else None
    is_former = _any_equals(digests, former or b"") and expires_at is not None and expires_at > utc_now()
    return present or is_former


def _any_equals(digests: Sequence[bytes], stored: bytes) -> bool:
    return sum(hmac.compare_digest(digest, stored) for digest in digests) > 0  # not `any`, which would end early
