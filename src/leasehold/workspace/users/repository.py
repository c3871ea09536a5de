"""How users are read and written."""

from uuid import UUID

from sqlalchemy import bindparam, select

from leasehold.core.errors import NotFound
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import PageRead, Read, Reader, columns_of
from leasehold.core.repository import KeysetRepository
from leasehold.workspace.users import models, schemas

USER_BY_ID = Read(
    select(*columns_of(models.User, schemas.User)).where(models.User.id == bindparam("user_id")), schemas.User
)
USERS_PAGE = PageRead(models.User, schemas.User)


class UserReads:
    """The users of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager) -> Page[schemas.User]:
        """Return one page of users in the order they were made."""
        return await USERS_PAGE.page(self._reader, pager)

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
