"""`/platform/v1/tenants/{id}/usage`."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from leasehold.core.database import PlatformSession
from leasehold.core.parameters import moment, moment_of
from leasehold.core.usage_report import Bucket, InvalidRange, Usage
from leasehold.platform.usage.service import UsageService

READ = ("platform:tenants:read",)

Since = Annotated[str | None, moment("from", "Start of the range, 30 days before its end if missing")]
Before = Annotated[str | None, moment("to", "End of the range, now if missing")]
By = Annotated[Bucket, QueryParameter(name="by", description="How the range is divided, in UTC")]


def provide_usage(session: NamedDependency[PlatformSession]) -> UsageService:
    """Return the service on the session of the request."""
    return UsageService(session)


@get(
    "/{tenant_id:uuid}/usage",
    operation_id="getTenantUsage",
    summary="Get what a tenant uses",
    problems=(InvalidRange,),
    scopes=READ,
)
async def get_usage(
    tenant_id: FromPath[UUID],
    usage: NamedDependency[UsageService],
    since: Since = None,
    before: Before = None,
    bucket: By = "day",
) -> Usage:
    """Return requests, database time and traffic in each hour or day of a range, and rows and bytes at rest."""
    return await usage.of(tenant_id, since=moment_of(since, "from"), before=moment_of(before, "to"), bucket=bucket)


router = Router(
    "/tenants",
    route_handlers=[get_usage],
    dependencies={"usage": Provide(provide_usage, sync_to_thread=False)},
    tags=["tenants"],
)
