"""`/v1/items`."""

from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.workspace.items.repository import ItemReads
from leasehold.workspace.items.schemas import Item, ItemCreate, ItemPatch
from leasehold.workspace.items.service import ItemService


@get("/", operation_id="listItems", summary="List items", scopes=("items:read",))
async def list_items(
    reader: NamedDependency[TenantReader],
    cursors: NamedDependency[Cursors],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Item]:
    """Return one page of items in the order they were made."""
    return await ItemReads(reader).page(Pager(cursors, limit, cursor))


@post("/", operation_id="createItem", summary="Create an item", scopes=("items:write",))
async def create_item(data: JSONBody[ItemCreate], session: NamedDependency[TenantSession]) -> Item:
    """Make an item."""
    return await ItemService(session=session).add(data)


@get("/{item_id:uuid}", operation_id="getItem", summary="Get an item", scopes=("items:read",))
async def get_item(item_id: FromPath[UUID], reader: NamedDependency[TenantReader]) -> Item:
    """Return one item."""
    return await ItemReads(reader).find(item_id)


@patch("/{item_id:uuid}", operation_id="updateItem", summary="Change an item", scopes=("items:write",))
async def update_item(
    item_id: FromPath[UUID], data: JSONBody[ItemPatch], session: NamedDependency[TenantSession]
) -> Item:
    """Change the fields that are given."""
    return await ItemService(session=session).change(item_id, data)


@delete("/{item_id:uuid}", operation_id="deleteItem", summary="Delete an item", scopes=("items:write",))
async def delete_item(item_id: FromPath[UUID], session: NamedDependency[TenantSession]) -> None:
    """Delete an item for good."""
    await ItemService(session=session).remove(item_id)


router = Router("/items", route_handlers=[list_items, create_item, get_item, update_item, delete_item], tags=["items"])
