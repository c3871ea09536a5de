"""How items are read and written."""

from uuid import UUID

from sqlalchemy import bindparam, select

from leasehold.core.errors import NotFound
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import PageRead, Read, Reader, columns_of
from leasehold.core.repository import KeysetRepository
from leasehold.workspace.items import models, schemas

ITEM_BY_ID = Read(
    select(*columns_of(models.Item, schemas.Item)).where(models.Item.id == bindparam("item_id")), schemas.Item
)
ITEMS_PAGE = PageRead(models.Item, schemas.Item)


class ItemReads:
    """The items of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager) -> Page[schemas.Item]:
        """Return one page of items in the order they were made."""
        return await ITEMS_PAGE.page(self._reader, pager)

    async def find(self, item_id: UUID) -> schemas.Item:
        """Return an item.

        Raises:
            NotFound: there is none with this id.
        """
        item = await self._reader.one(ITEM_BY_ID, item_id=item_id)
        if item is None:
            raise NotFound
        return item


class ItemRepository(KeysetRepository[models.Item]):
    """The items of the bound tenant, for who writes."""

    model_type = models.Item
