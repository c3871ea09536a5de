"""`/v1/items`."""

from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from leasehold.core.pagination import Page, Pager
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.workspace.items.repository import ItemReads
from leasehold.workspace.items.schemas import Item, ItemCreate, ItemPatch
from leasehold.workspace.items.service import ItemService


def provide_items(session: NamedDependency[TenantSession]) -> ItemService:
    """Return the service on the session of the request."""
    return ItemService(session=session)


def provide_item_reads(reader: NamedDependency[TenantReader]) -> ItemReads:
    """Return the reads on the reader of the request."""
    return ItemReads(reader)


@get("/", operation_id="listItems", summary="List items", scopes=("items:read",))
async def list_items(item_reads: NamedDependency[ItemReads], pager: NamedDependency[Pager]) -> Page[Item]:
    """Return one page of items in the order they were made."""
    return await item_reads.page(pager)


@post("/", operation_id="createItem", summary="Create an item", scopes=("items:write",))
async def create_item(data: JSONBody[ItemCreate], items: NamedDependency[ItemService]) -> Item:
    """Make an item."""
    return await items.add(data)


@get("/{item_id:uuid}", operation_id="getItem", summary="Get an item", scopes=("items:read",))
async def get_item(item_id: FromPath[UUID], item_reads: NamedDependency[ItemReads]) -> Item:
    """Return one item."""
    return await item_reads.find(item_id)


@patch("/{item_id:uuid}", operation_id="updateItem", summary="Change an item", scopes=("items:write",))
async def update_item(item_id: FromPath[UUID], data: JSONBody[ItemPatch], items: NamedDependency[ItemService]) -> Item:
    """Change the fields that are given."""
    return await items.change(item_id, data)


@delete("/{item_id:uuid}", operation_id="deleteItem", summary="Delete an item", scopes=("items:write",))
async def delete_item(item_id: FromPath[UUID], items: NamedDependency[ItemService]) -> None:
    """Delete an item for good."""
    await items.remove(item_id)


router = Router(
    "/items",
    route_handlers=[list_items, create_item, get_item, update_item, delete_item],
    dependencies={
        "items": Provide(provide_items, sync_to_thread=False),
        "item_reads": Provide(provide_item_reads, sync_to_thread=False),
    },
    tags=["items"],
)
