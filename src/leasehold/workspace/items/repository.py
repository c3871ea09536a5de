"""How items are read and written."""

from leasehold.core.repository import KeysetRepository
from leasehold.workspace.items.models import Item


class ItemRepository(KeysetRepository[Item]):
    """The items of the bound tenant."""

    model_type = Item
