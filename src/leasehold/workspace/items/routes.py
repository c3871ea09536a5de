"""`/v1/items`."""

from uuid import UUID

from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from leasehold.core.bulk import Outcomes
from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.preconditions import Precondition, entity_tag
from leasehold.core.reads import OpenReader
from leasehold.core.streaming import NDJSON, LineStream
from leasehold.core.uploads import Upload
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.workspace.catalogue import BULK_IMPORT
from leasehold.workspace.items.bulk import ItemBulk
from leasehold.workspace.items.repository import ITEMS, ItemReads, export
from leasehold.workspace.items.schemas import (
    Imported,
    Item,
    ItemChange,
    ItemCreate,
    ItemLine,
    ItemPatch,
    ItemsCreate,
    ItemsUpdate,
)
from leasehold.workspace.items.service import InvalidOwner, ItemService
from leasehold.workspace.limits.service import LimitExceeded

READ, WRITE = ("items:read",), ("items:write",)
_MOST_BULK_BYTES = 4 * 1024 * 1024


@get("/", operation_id="listItems", summary="List items", lists=ITEMS, scopes=READ)
async def list_items(
    reader: NamedDependency[TenantReader],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Item]:
    """Return one page of items in the order they were made, or another."""
    return await ItemReads(reader).page(Pager(cursors, limit, cursor), asked)


@post("/", operation_id="createItem", summary="Create an item", problems=(InvalidOwner, LimitExceeded), scopes=WRITE)
async def create_item(data: JSONBody[ItemCreate], session: NamedDependency[TenantSession]) -> Item:
    """Make an item."""
    return await ItemService(session=session).add(data)


@get("/{item_id:uuid}", operation_id="getItem", summary="Get an item", scopes=READ)
async def get_item(item_id: FromPath[UUID], reader: NamedDependency[TenantReader]) -> Item:
    """Return one item."""
    return await ItemReads(reader).find(item_id)


@patch(
    "/{item_id:uuid}",
    operation_id="updateItem",
    summary="Change an item",
    problems=(InvalidOwner,),
    scopes=WRITE,
)
async def update_item(
    item_id: FromPath[UUID],
    data: JSONBody[ItemPatch],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
) -> Item:
    """Change the fields that are given; null takes away description, owner or tags."""
    return await ItemService(session=session).change(item_id, data, precondition=precondition)


@delete("/{item_id:uuid}", operation_id="deleteItem", summary="Delete an item", scopes=WRITE)
async def delete_item(
    item_id: FromPath[UUID],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
) -> Response[None]:
    """Delete an item; it can be restored, and the ETag of the answer is what the restoring may be made to depend on."""
    item = await ItemService(session=session).remove(item_id, precondition=precondition)
    return Response(None, status_code=204, headers={"ETag": entity_tag(item, Item.tagged_by)})


@post(
    "/{item_id:uuid}/restore",
    operation_id="restoreItem",
    summary="Restore an item",
    problems=(LimitExceeded,),
    scopes=WRITE,
    status_code=200,
)
async def restore_item(
    item_id: FromPath[UUID],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
) -> Item:
    """Take back that an item was deleted; one that is not deleted stays as it is."""
    return await ItemService(session=session).restore(item_id, precondition=precondition)


@post(
    "/bulk",
    operation_id="createItems",
    summary="Create many items",
    problems=(LimitExceeded,),
    scopes=WRITE,
    status_code=200,
    request_max_body_size=_MOST_BULK_BYTES,
    lines=ItemCreate,
)
async def create_items(data: JSONBody[ItemsCreate], session: NamedDependency[TenantSession]) -> Outcomes[Item]:
    """Make up to 1,000 items in one transaction; a line that is refused has its problem, and the others are made."""
    return await ItemBulk(session).add(data.items)


@patch(
    "/bulk",
    operation_id="updateItems",
    summary="Change many items",
    scopes=WRITE,
    request_max_body_size=_MOST_BULK_BYTES,
    lines=ItemChange,
)
async def update_items(data: JSONBody[ItemsUpdate], session: NamedDependency[TenantSession]) -> Outcomes[Item]:
    """Change up to 1,000 items in one transaction; a line that is refused has its problem, the others are changed."""
    return await ItemBulk(session).change(data.items)


@post(
    "/import",
    operation_id="importItems",
    summary="Import items",
    problems=(LimitExceeded,),
    feature=BULK_IMPORT,
    scopes=WRITE,
    status_code=200,
    takes_lines=ItemLine,
)
async def import_items(upload: NamedDependency[Upload], session: NamedDependency[TenantSession]) -> Imported:
    """Make an item of each line, up to 100,000 in one transaction; if a line cannot be one, none is made."""
    return await ItemBulk(session).take(upload)


@get("/export", operation_id="exportItems", summary="Export items", scopes=READ, media_type=NDJSON, line=Item)
async def export_items(
    open_reader: NamedDependency[OpenReader],
) -> LineStream:
    """Return all items as a line of JSON each, in the order they were made."""
    return LineStream(await export(open_reader))


router = Router(
    "/items",
    route_handlers=[
        list_items,
        create_item,
        get_item,
        update_item,
        delete_item,
        restore_item,
        create_items,
        update_items,
        import_items,
        export_items,
    ],
    tags=["items"],
)
