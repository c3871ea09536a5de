"""`/platform/v1/tenants/{id}/usage`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from leasehold.core.database import PlatformSession
from leasehold.platform.usage.schemas import Bucket, Usage
from leasehold.platform.usage.service import InvalidRange, UsageService

READ = ("platform:tenants:read",)

Since = Annotated[
    datetime | None, QueryParameter(name="from", description="Start of the range (RFC 3339); 30 days before its end")
]
Before = Annotated[datetime | None, QueryParameter(name="to", description="End of the range (RFC 3339); now")]
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
    return await usage.of(tenant_id, since=since, before=before, bucket=bucket)


router = Router(
    "/tenants",
    route_handlers=[get_usage],
    dependencies={"usage": Provide(provide_usage, sync_to_thread=False)},
    tags=["tenants"],
)
