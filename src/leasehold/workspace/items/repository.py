"""How items are read and written. Those that are deleted are not there, but for who restores them."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, insert, select

from leasehold.core.errors import NotFound
from leasehold.core.listing.asked import PLAIN, Asked
from leasehold.core.listing.export import BATCH, exported
from leasehold.core.listing.filters import Between, Equal, Holds
from leasehold.core.listing.listing import Listing
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import OpenReader, Read, Reader, columns_of
from leasehold.core.repository import KeysetRepository
from leasehold.core.slices import WRITTEN, slices
from leasehold.workspace.items import models, schemas
from leasehold.workspace.users.models import User

IS_PRESENT = models.Item.deleted_at.is_(None)
ITEM_BY_ID = Read(
    select(*columns_of(models.Item, schemas.Item)).where(models.Item.id == bindparam("item_id"), IS_PRESENT),
    schemas.Item,
)
ITEMS = Listing(
    models.Item,
    schemas.Item,
    IS_PRESENT,
    sorts={"updated_at": models.Item.updated_at},
    filters={
        "status": Equal(models.Item.status, schemas.Status),
        "owner_id": Equal(models.Item.owner_id, UUID),
        "tag": Holds(models.Item.tags, schemas.SoughtTag),
        "created_at": Between(models.Item.created_at),
        "updated_at": Between(models.Item.updated_at),
    },
    search=models.SEARCHED,
)
_IDS = bindparam("ids", type_=ARRAY(Uuid()))  # one statement, however many there are


class ItemReads:
    """The items of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager, asked: Asked = PLAIN) -> Page[schemas.Item]:
        """Return one page of items in the order they were made."""
        return await ITEMS.page(self._reader, pager, asked)

    async def find(self, item_id: UUID) -> schemas.Item:
        """Return an item.

        Raises:
            NotFound: there is none with this id.
        """
        item = await self._reader.one(ITEM_BY_ID, item_id=item_id)
        if item is None:
            raise NotFound
        return item


async def export(open_reader: OpenReader) -> AsyncGenerator[bytes]:
    """Return all items as lines of JSON, in the order they were made; each batch is read by a reader of its own."""

    async def read(behind: schemas.Item | None) -> list[schemas.Item]:
        return await ITEMS.batch(await open_reader(), PLAIN, behind=behind, limit=BATCH)

    return await exported(read)


class ItemRepository(KeysetRepository[models.Item]):
    """The items of the bound tenant, for who writes."""

    model_type = models.Item

    async def locked(self, item_id: UUID, *, or_deleted: bool = False) -> models.Item:
        """Return an item; nobody else changes it meanwhile.

        Raises:
            NotFound: there is none with this id.
        """
        found = await self.locked_many([item_id], or_deleted=or_deleted)
        if not found:
            raise NotFound
        return found[item_id]

    async def locked_many(self, ids: Collection[UUID], *, or_deleted: bool = False) -> Mapping[UUID, models.Item]:
        """Return those of some items that there are, by id; nobody else changes them meanwhile.

        They are locked in the order of their ids, so that two who want the same ones never wait for each other.
        """
        statement = select(models.Item).where(models.Item.id == any_(_IDS)).order_by(models.Item.id)
        if not or_deleted:
            statement = statement.where(IS_PRESENT)
        found: dict[UUID, models.Item] = {}
        async for some in slices(sorted(ids), WRITTEN):
            rows = await self.session.scalars(statement.with_for_update(), {"ids": some})
            found |= {row.id: row for row in rows}
        return found

    async def insert_many(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that have a value for each column, by one prepared statement in a few messages."""
        await self.session.execute(insert(models.Item.__table__), rows)  # pyright: ignore[reportArgumentType]

    async def active_users(self, ids: Collection[UUID]) -> set[UUID]:
        """Return which of some ids are those of active users; they stay users to the end of the transaction."""
        users = select(User.id).where(User.id == any_(_IDS), User.is_active).order_by(User.id)
        return set(await self.session.scalars(users.with_for_update(read=True, key_share=True), {"ids": list(ids)}))

    async def is_inactive_user(self, user_id: UUID) -> bool:
        """Tell whether an id is that of a user who is disabled; whether there is one, the foreign key says."""
        found = await self.session.scalar(select(User.is_active).where(User.id == user_id))
        return found is False
