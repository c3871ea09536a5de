"""How users are read and written."""

from uuid import UUID

from sqlalchemy import bindparam, delete, select

from leasehold.core.errors import NotFound
from leasehold.core.listing.asked import PLAIN, Asked
from leasehold.core.listing.filters import Between, Equal
from leasehold.core.listing.listing import Listing
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import Read, Reader, columns_of
from leasehold.core.repository import KeysetRepository
from leasehold.workspace.factors.models import RecoveryCode, Totp
from leasehold.workspace.scopes import Role
from leasehold.workspace.users import models, schemas

USER_BY_ID = Read(
    select(*columns_of(models.User, schemas.User)).where(models.User.id == bindparam("user_id")), schemas.User
)
USERS = Listing(
    models.User,
    schemas.User,
    filters={
        "role": Equal(models.User.role, Role),
        "is_active": Equal(models.User.is_active, bool),
        "email": Equal(models.User.email, schemas.SoughtEmail),
        "created_at": Between(models.User.created_at),
    },
    search=models.SEARCHED,
)


class UserReads:
    """The users of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager, asked: Asked = PLAIN) -> Page[schemas.User]:
        """Return one page of users in the order they were made."""
        return await USERS.page(self._reader, pager, asked)

    async def find(self, user_id: UUID) -> schemas.User:
        """Return a user.

        Raises:
            NotFound: there is none with this id.
        """
        user = await self._reader.one(USER_BY_ID, user_id=user_id)
        if user is None:
            raise NotFound
        return user


class UserRepository(KeysetRepository[models.User]):
    """The users of the bound tenant, for who writes."""

    model_type = models.User

    async def by_email(self, email: str) -> models.User | None:
        """Return the user with this address, whatever its case."""
        return await self.get_one_or_none(email=email.lower())

    async def locked(self, email: str) -> models.User | None:
        """Return the user with this address; nobody else changes it meanwhile."""
        statement = select(models.User).where(models.User.email == email.lower()).with_for_update()
        return await self.session.scalar(statement)

    async def delete_factors(self, user_id: UUID) -> None:
        """Delete the second factor of a user with its recovery codes."""
        await self.session.execute(delete(Totp).where(Totp.user_id == user_id))
        await self.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))

    async def lock_active_owners(self) -> list[UUID]:
        """Return who the active owners are; nobody else makes one of them something else meanwhile."""
        owners = select(models.User.id).where(models.User.role == "owner", models.User.is_active)
        return list(await self.session.scalars(owners.order_by(models.User.id).with_for_update()))
