"""What can be done with items."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from msgspec import UNSET
from msgspec.structs import asdict
from sqlalchemy.exc import IntegrityError

from leasehold.core.clock import utc_now
from leasehold.core.errors import FieldError, Invalid
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.core.sqlstate import violated_constraint
from leasehold.core.text import normalised_words
from leasehold.workspace.catalogue import ITEMS
from leasehold.workspace.items import models, schemas
from leasehold.workspace.items.repository import ItemRepository
from leasehold.workspace.limits.service import LimitService
from leasehold.workspace.settings.service import demand_precondition

_WITHOUT_VALUE: dict[str, object] = {"description": "", "tags": []}
"""What a field is when null has taken its value away; all others are null then."""


class InvalidOwner(Invalid):
    """The owner must be an active user of this tenant."""

    type = "invalid-owner"
    title = "Invalid owner"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/owner_id", "is no active user")])


def values_of(data: schemas.ItemCreate) -> dict[str, Any]:
    """Return the columns that a new item says.

    Raises:
        Invalid: a tag is blank, or too long when it is written as all are.
    """
    values = {name: value for name, value in asdict(data).items() if name in schemas.ItemCreate.__struct_fields__}
    return values | {"tags": normalised_words(data.tags, pointer="/tags", longest=50)}


def changes_of(patch: schemas.ItemPatch) -> dict[str, Any]:
    """Return the columns that a patch says; null is what the field is without a value.

    Raises:
        Invalid: a tag is blank, or too long when it is written as all are.
    """
    given = {name: getattr(patch, name) for name in schemas.ItemPatch.__struct_fields__}
    values: dict[str, Any] = {
        name: _WITHOUT_VALUE.get(name) if value is None else value
        for name, value in given.items()
        if value is not UNSET
    }
    if "tags" in values:
        values["tags"] = normalised_words(values["tags"], pointer="/tags", longest=50)
    return values


def write(row: models.Item, values: dict[str, Any]) -> None:
    """Give a row values, and a new version and time if they differ from its own."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        row.version += 1
        # Of many rows in one flush SQLAlchemy (2.1.9) tells the default that the first one got.
        row.updated_at = utc_now()


class ItemService(SQLAlchemyAsyncRepositoryService[models.Item, ItemRepository]):
    """The items of the bound tenant, for who writes one."""

    repository_type = ItemRepository

    async def add(self, data: schemas.ItemCreate) -> schemas.Item:
        """Make an item and return it.

        Raises:
            Invalid: see `values_of`.
            InvalidOwner: the owner is no active user.
            LimitExceeded: the tenant may have no more items, or no more bytes.
        """
        values, limits = values_of(data), LimitService(self.repository.session)
        with _owner_exists():
            await self._demand_active(values["owner_id"])
            await limits.demand_storage()
            await limits.demand(ITEMS)
            return await self.repository.insert(values, returning=schemas.Item)

    async def change(
        self, item_id: UUID, patch: schemas.ItemPatch, *, precondition: Precondition = ANYTHING
    ) -> schemas.Item:
        """Change the fields that the patch has, and return the item. What changes nothing makes no new version.

        Raises:
            NotFound: there is none with this id.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
            Invalid: see `changes_of`.
            InvalidOwner: the new owner is no active user.
        """
        values = changes_of(patch)
        row = await self._found(item_id, precondition)
        if (owner_id := values.get("owner_id")) != row.owner_id:
            await self._demand_active(owner_id)
        return await self._written(row, values)

    async def remove(self, item_id: UUID, *, precondition: Precondition = ANYTHING) -> schemas.Item:
        """Delete an item, so that it can be restored, and return what it was then.

        Raises:
            NotFound: there is none with this id.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
        """
        return await self._written(await self._found(item_id, precondition), {"deleted_at": utc_now()})

    async def restore(self, item_id: UUID, *, precondition: Precondition = ANYTHING) -> schemas.Item:
        """Return an item as one that is not deleted, whether it was or not.

        Raises:
            NotFound: there never was one with this id, or it was deleted for good.
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
            LimitExceeded: the tenant may have no more items.
        """
        row = await self._found(item_id, precondition, or_deleted=True)
        if row.deleted_at is not None:
            await LimitService(self.repository.session).demand(ITEMS)
        return await self._written(row, {"deleted_at": None})

    async def _found(self, item_id: UUID, precondition: Precondition, *, or_deleted: bool = False) -> models.Item:
        row = await self.repository.locked(item_id, or_deleted=or_deleted)
        await demand_precondition(self.repository.session, precondition, row, schemas.Item.tagged_by)
        return row

    async def _written(self, row: models.Item, values: dict[str, Any]) -> schemas.Item:
        write(row, values)
        with _owner_exists():
            await self.repository.session.flush()
        return self.to_schema(row, schema_type=schemas.Item)

    async def _demand_active(self, owner_id: UUID | None) -> None:
        if owner_id is not None and await self.repository.is_inactive_user(owner_id):
            raise InvalidOwner


@contextmanager
def _owner_exists() -> Generator[None]:
    try:
        yield
    except IntegrityError as error:
        if violated_constraint(error) == "fk_items_owner_id":
            raise InvalidOwner from error
        raise
