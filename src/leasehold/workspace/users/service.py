"""What can be done with the users of a tenant."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from msgspec import UNSET
from sqlalchemy.exc import IntegrityError

from leasehold.core.actor import Actor
from leasehold.core.changes import applied, created
from leasehold.core.errors import Conflict, FieldError
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.core.sqlstate import violated_constraint
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import TenantSession, announce_revocation
from leasehold.workspace.catalogue import USERS
from leasehold.workspace.limits.service import LimitService
from leasehold.workspace.scopes import ROLE_SCOPES, Role, as_role
from leasehold.workspace.settings.service import demand_precondition
from leasehold.workspace.users import models, schemas
from leasehold.workspace.users.repository import UserRepository

_ACTIONS = {"name": "user.renamed", "role": "user.role_changed", "is_active": ("user.disabled", "user.enabled")}


class EmailTaken(Conflict):
    """Another user of this tenant already has this e-mail address."""

    type = "email-taken"
    title = "E-mail address taken"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/email", "is taken")])


class LastOwner(Conflict):
    """A tenant has an active owner at all times; make another one first."""

    type = "last-owner"
    title = "Last owner"


class UserService(SQLAlchemyAsyncRepositoryService[models.User, UserRepository]):
    """The users of the bound tenant, for who writes."""

    repository_type = UserRepository

    async def add(
        self,
        *,
        email: str,
        name: str,
        role: Role,
        password_hash: str | None,
        by: Actor,
        email_confirmed_at: datetime | None = None,
    ) -> schemas.User:
        """Make a user and return it. `by` must hold every scope of the role; who is anonymous signs up.

        Raises:
            EmailTaken: another user has this address.
            InsufficientScope: the role would give more than `by` holds.
            LimitExceeded: the tenant may have no more users.
        """
        by.demand(*sorted(ROLE_SCOPES[role]))
        await LimitService(self.repository.session).demand(USERS, by=by)
        values: dict[str, object] = {
            "email": email.lower(),
            "name": name,
            "role": role,
            "password_hash": password_hash,
            "is_active": True,
            "email_confirmed_at": email_confirmed_at,
        }
        try:
            user = await self.repository.insert(values, returning=schemas.User)
        except IntegrityError as error:
            if violated_constraint(error) == "uq_users_email":
                raise EmailTaken from error
            raise
        action = "user.registered" if by.kind == "anonymous" else "user.created"
        await AuditLog(self.repository.session, by).record(action, ("user", user.id), changes=created(role=role))
        return user

    async def change(
        self, user_id: UUID, patch: schemas.UserPatch, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.User:
        """Change the fields that the patch has, and return the user; what it was logged in with is checked anew.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
            InsufficientScope: the role that the user has, or would get, gives more than `by` holds.
            LastOwner: the tenant would have no active owner left.
            LimitExceeded: the user would be active again, and the tenant may have no more.
        """
        if patch.role is not UNSET:
            by.demand(*sorted(ROLE_SCOPES[patch.role]))
        await self._demand_power_over(user_id, by)
        if patch.role not in {UNSET, "owner"} or patch.is_active is False:
            await self._demand_other_owner_than(user_id)
        user = await self._locked(user_id, precondition)
        if patch.is_active is True and not user.is_active:
            await LimitService(self.repository.session).demand(USERS)
        changes = applied(user, patch, unkept={"name"})
        await self.repository.session.flush()
        await AuditLog(self.repository.session, by).record_changes(("user", user_id), changes, _ACTIONS)
        await self._announce(user_id)
        return self.to_schema(user, schema_type=schemas.User)

    async def remove(self, user_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor) -> None:
        """Delete a user, whose tokens end with it.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
            InsufficientScope: the user's role gives more than `by` holds.
            LastOwner: the tenant would have no active owner left.
        """
        await self._demand_power_over(user_id, by)
        await self._demand_other_owner_than(user_id)
        await self.repository.session.delete(await self._locked(user_id, precondition))
        await AuditLog(self.repository.session, by).record("user.deleted", ("user", user_id))
        await self._announce(user_id)

    async def remove_totp(self, user_id: UUID, *, by: Actor) -> None:
        """Ask a user for no second factor any more.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
            InsufficientScope: the user's role gives more than `by` holds.
        """
        await self._demand_power_over(user_id, by)
        await self.repository.delete_factors(user_id)
        await AuditLog(self.repository.session, by).record("second_factor.removed", ("user", user_id))

    async def _locked(self, user_id: UUID, precondition: Precondition) -> models.User:
        user = await self.repository.get_locked(user_id)
        await demand_precondition(self.repository.session, precondition, user, schemas.User.tagged_by)
        return user

    async def _demand_power_over(self, user_id: UUID, by: Actor) -> None:
        user = await self.repository.get(user_id)
        by.demand(*sorted(ROLE_SCOPES[as_role(user.role)]))

    async def _demand_other_owner_than(self, user_id: UUID) -> None:
        if await self.repository.lock_active_owners() == [user_id]:
            raise LastOwner

    async def _announce(self, user_id: UUID) -> None:
        session = self.repository.session
        if not isinstance(session, TenantSession):
            raise TypeError("users are changed on a TenantSession")
        await announce_revocation(session, user_id)
