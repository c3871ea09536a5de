"""What can be done with invitations."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from sqlalchemy.exc import IntegrityError

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.clock import utc_now
from leasehold.core.credentials import is_secret, new_secret, secret_digest, secret_digests
from leasehold.core.errors import Conflict, FieldError
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.core.sqlstate import violated_constraint
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.invitations import models, schemas
from leasehold.workspace.invitations.repository import InvitationRepository
from leasehold.workspace.scopes import ROLE_SCOPES, Role
from leasehold.workspace.settings.service import demand_precondition
from leasehold.workspace.users.repository import UserRepository
from leasehold.workspace.users.service import EmailTaken

SECRET_KIND = "invitation"
LIFETIME = timedelta(days=7)


class AlreadyInvited(Conflict):
    """There is an invitation for this e-mail address already; delete it first, or wait until it is accepted."""

    type = "already-invited"
    title = "Already invited"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/email", "was invited already")])


class InvitationService(SQLAlchemyAsyncRepositoryService[models.Invitation, InvitationRepository]):
    """The invitations of the bound tenant, for who writes."""

    repository_type = InvitationRepository

    async def invite(self, *, email: str, role: Role, by: Actor) -> schemas.Invitation:
        """Make an invitation without a secret, and return it. `by` must hold what the role gives.

        Raises:
            EmailTaken: a user has this address.
            AlreadyInvited: an invitation has it.
            InsufficientScope: the role would give more than `by` holds.
        """
        by.demand(*sorted(ROLE_SCOPES[role]))
        await self.repository.delete_expired()
        if await UserRepository(session=self._session).by_email(email) is not None:
            raise EmailTaken
        values: dict[str, object] = {
            "email": email.lower(),
            "role": role,
            "invited_by": by.id,
            "expires_at": utc_now() + LIFETIME,
        }
        try:
            invitation = await self.repository.insert(values, returning=schemas.Invitation)
        except IntegrityError as error:
            if violated_constraint(error) == "uq_invitations_email":
                raise AlreadyInvited from error
            raise
        target = ("invitation", invitation.id)
        await AuditLog(self._session, by).record("invitation.created", target, changes=created(role=role))
        return invitation

    async def take_back(self, invitation_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor) -> None:
        """Delete an invitation; its link is void at once.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
        """
        invitation = await self.repository.get_locked(invitation_id)
        await demand_precondition(self._session, precondition, invitation, schemas.Invitation.tagged_by)
        await self._session.delete(invitation)
        await AuditLog(self._session, by).record("invitation.taken_back", ("invitation", invitation_id))

    async def renew_secret(self, invitation_id: UUID, *, pepper: bytes) -> str:
        """Return a fresh secret of an invitation, which makes a former one void.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
        """
        invitation = await self.repository.get(invitation_id)
        secret = new_secret(SECRET_KIND, tenant_id=self._session.tenant.id)
        invitation.digest = secret_digest(secret, pepper=pepper)
        return secret

    async def accept(self, secret: str, *, peppers: Sequence[bytes]) -> models.Invitation | None:
        """Use an invitation up, and return it; None for a secret that is good for nothing."""
        if not is_secret(secret, SECRET_KIND, tenant_id=self._session.tenant.id):
            return None
        return await self.repository.use(secret_digests(secret, peppers=peppers))

    @property
    def _session(self) -> TenantSession:
        session = self.repository.session
        if not isinstance(session, TenantSession):
            raise TypeError("invitations are made on a TenantSession")
        return session
