"""What can be done with items."""

from uuid import UUID

from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from msgspec.structs import asdict

from leasehold.workspace.items import models, schemas
from leasehold.workspace.items.repository import ItemRepository


class ItemService(SQLAlchemyAsyncRepositoryService[models.Item, ItemRepository]):
    """The items of the bound tenant, for who writes."""

    repository_type = ItemRepository

    async def add(self, data: schemas.ItemCreate) -> schemas.Item:
        """Make an item and return it."""
        return await self.repository.insert(asdict(data), returning=schemas.Item)

    async def change(self, item_id: UUID, patch: schemas.ItemPatch) -> schemas.Item:
        """Change the fields that the patch has, and return the item.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
        """
        return self.to_schema(await self.update(patch, item_id=item_id), schema_type=schemas.Item)

    async def remove(self, item_id: UUID) -> None:
        """Delete an item.

        Raises:
            advanced_alchemy.exceptions.NotFoundError: there is none with this id.
        """
        await self.delete(item_id)
