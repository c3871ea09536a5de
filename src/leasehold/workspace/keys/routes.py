"""`/v1/keys`."""

from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.errors import ScopeNotHeld, UnknownScope
from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.preconditions import Precondition
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.keys.repository import KEYS, ApiKeyReads
from leasehold.workspace.keys.schemas import ApiKey, ApiKeyCreate, ApiKeyPatch, KeyRotation, NewApiKey
from leasehold.workspace.keys.service import ApiKeyService, InvalidExpiry

READ = ("keys:read",)
WRITE = ("keys:write",)


@get("/", operation_id="listApiKeys", summary="List API keys", lists=KEYS, scopes=READ)
async def list_api_keys(
    reader: NamedDependency[TenantReader],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[ApiKey]:
    """Return one page of API keys in the order they were made, or another."""
    return await ApiKeyReads(reader).page(Pager(cursors, limit, cursor), asked)


@post(
    "/", operation_id="createApiKey", summary="Create an API key", problems=(UnknownScope, InvalidExpiry), scopes=WRITE
)
async def create_api_key(
    data: JSONBody[ApiKeyCreate],
    session: NamedDependency[TenantSession],
    tenant: NamedDependency[TenantRef],
    actor: NamedDependency[Actor],
    installation_key: NamedDependency[InstallationKey],
) -> NewApiKey:
    """Make an API key of the caller. Its secret is in the answer, and nowhere else."""
    pepper = await read_pepper(session, installation_key, tenant)
    return await ApiKeyService(session=session).issue(data, pepper=pepper, by=actor)


@get("/{key_id:uuid}", operation_id="getApiKey", summary="Get an API key", scopes=READ)
async def get_api_key(key_id: FromPath[UUID], reader: NamedDependency[TenantReader]) -> ApiKey:
    """Return one API key, without its secret."""
    return await ApiKeyReads(reader).find(key_id)


@patch(
    "/{key_id:uuid}",
    operation_id="updateApiKey",
    summary="Change or disable an API key",
    problems=(UnknownScope, ScopeNotHeld),
    scopes=WRITE,
)
async def update_api_key(
    key_id: FromPath[UUID],
    data: JSONBody[ApiKeyPatch],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> ApiKey:
    """Change the fields that are given. Every process obeys within a second."""
    return await ApiKeyService(session=session).change(key_id, data, precondition=precondition, by=actor)


@post(
    "/{key_id:uuid}/rotate",
    operation_id="rotateApiKey",
    summary="Replace a key's secret",
    problems=(InvalidExpiry,),
    scopes=WRITE,
    status_code=200,
)
async def rotate_api_key(
    key_id: FromPath[UUID],
    data: JSONBody[KeyRotation],
    session: NamedDependency[TenantSession],
    tenant: NamedDependency[TenantRef],
    actor: NamedDependency[Actor],
    installation_key: NamedDependency[InstallationKey],
) -> NewApiKey:
    """Make a new secret; the former one is good for `grace_seconds` more."""
    pepper = await read_pepper(session, installation_key, tenant)
    return await ApiKeyService(session=session).rotate(key_id, data, pepper=pepper, by=actor)


@delete("/{key_id:uuid}", operation_id="deleteApiKey", summary="Delete an API key", scopes=WRITE)
async def delete_api_key(
    key_id: FromPath[UUID],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> None:
    """Delete an API key; every process refuses it within a second."""
    await ApiKeyService(session=session).remove(key_id, precondition=precondition, by=actor)


router = Router(
    "/keys",
    route_handlers=[list_api_keys, create_api_key, get_api_key, update_api_key, rotate_api_key, delete_api_key],
    tags=["keys"],
)
