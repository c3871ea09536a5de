"""`/v1/tenant/deletion-request`."""

from litestar import Router, delete, get, post
from litestar.di import NamedDependency

from leasehold.core.actor import Actor
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.workspace.deletion.schemas import DeletionRequest
from leasehold.workspace.deletion.service import DeletionService, find_request

READ, WRITE = ("tenant:read",), ("tenant:write",)


@get(
    "/",
    operation_id="getDeletionRequest",
    summary="Get the request to be deleted",
    scopes=READ,
)
async def get_request(reader: NamedDependency[TenantReader]) -> DeletionRequest:
    """Return since when the tenant asks to be deleted; null if it does not."""
    return await find_request(reader)


@post("/", operation_id="requestDeletion", summary="Ask to be deleted", scopes=WRITE, status_code=200)
async def request_deletion(session: NamedDependency[TenantSession], actor: NamedDependency[Actor]) -> DeletionRequest:
    """Ask the platform to delete the tenant. Nothing is deleted by it; a request that was made before stands."""
    return await DeletionService(session).request(by=actor)


@delete(
    "/",
    operation_id="withdrawDeletionRequest",
    summary="Take back the request to be deleted",
    scopes=WRITE,
)
async def withdraw_request(session: NamedDependency[TenantSession], actor: NamedDependency[Actor]) -> None:
    """Ask no more to be deleted."""
    await DeletionService(session).withdraw(by=actor)


router = Router(
    "/tenant/deletion-request", route_handlers=[get_request, request_deletion, withdraw_request], tags=["tenant"]
)
