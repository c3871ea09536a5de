"""`/v1/clients`."""

from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.errors import UnknownScope
from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.preconditions import Precondition
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.clients.repository import CLIENTS, ApiClientReads
from leasehold.workspace.clients.schemas import ApiClient, ApiClientCreate, ApiClientPatch, NewApiClient, Rotation
from leasehold.workspace.clients.service import ApiClientService

READ = ("clients:read",)
WRITE = ("clients:write",)


@get("/", operation_id="listClients", summary="List API clients", lists=CLIENTS, scopes=READ)
async def list_clients(
    reader: NamedDependency[TenantReader],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[ApiClient]:
    """Return one page of API clients in the order they were made, or another."""
    return await ApiClientReads(reader).page(Pager(cursors, limit, cursor), asked)


@post("/", operation_id="createClient", summary="Create an API client", problems=(UnknownScope,), scopes=WRITE)
async def create_client(
    data: JSONBody[ApiClientCreate],
    session: NamedDependency[TenantSession],
    tenant: NamedDependency[TenantRef],
    actor: NamedDependency[Actor],
    installation_key: NamedDependency[InstallationKey],
) -> NewApiClient:
    """Make an API client. Its secret is in the answer, and nowhere else."""
    pepper = await read_pepper(session, installation_key, tenant)
    return await ApiClientService(session=session).issue(
        tenant=tenant, name=data.name, scopes=data.scopes, pepper=pepper, by=actor
    )


@get("/{client_id:uuid}", operation_id="getClient", summary="Get an API client", scopes=READ)
async def get_client(client_id: FromPath[UUID], reader: NamedDependency[TenantReader]) -> ApiClient:
    """Return one API client, without its secret."""
    return await ApiClientReads(reader).find(client_id)


@patch(
    "/{client_id:uuid}",
    operation_id="updateClient",
    summary="Change or disable an API client",
    problems=(UnknownScope,),
    scopes=WRITE,
)
async def update_client(
    client_id: FromPath[UUID],
    data: JSONBody[ApiClientPatch],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> ApiClient:
    """Change the fields that are given. Tokens of a client that is disabled end at once."""
    return await ApiClientService(session=session).change(client_id, data, precondition=precondition, by=actor)


@post(
    "/{client_id:uuid}/rotate",
    operation_id="rotateClient",
    summary="Replace a client's secret",
    scopes=WRITE,
    status_code=200,
)
async def rotate_client(
    client_id: FromPath[UUID],
    data: JSONBody[Rotation],
    session: NamedDependency[TenantSession],
    tenant: NamedDependency[TenantRef],
    actor: NamedDependency[Actor],
    installation_key: NamedDependency[InstallationKey],
) -> NewApiClient:
    """Make a new secret; the former one is good for `grace_seconds` more."""
    pepper = await read_pepper(session, installation_key, tenant)
    return await ApiClientService(session=session).rotate(
        client_id, tenant=tenant, grace_s=data.grace_seconds, pepper=pepper, by=actor
    )


@delete("/{client_id:uuid}", operation_id="deleteClient", summary="Delete an API client", scopes=WRITE)
async def delete_client(
    client_id: FromPath[UUID],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> None:
    """Delete an API client; its tokens end at once."""
    await ApiClientService(session=session).remove(client_id, precondition=precondition, by=actor)


router = Router(
    "/clients",
    route_handlers=[list_clients, create_client, get_client, update_client, rotate_client, delete_client],
    tags=["clients"],
)
