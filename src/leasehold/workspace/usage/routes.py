"""`/v1/tenant/usage`."""

from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from leasehold.core.parameters import moment, moment_of
from leasehold.core.usage_report import Bucket, InvalidRange, Usage
from leasehold.tenancy.bind import TenantReader
from leasehold.workspace.usage.service import own_usage

Since = Annotated[str | None, moment("from", "Start of the range, 30 days before its end if missing")]
Before = Annotated[str | None, moment("to", "End of the range, now if missing")]
By = Annotated[Bucket, QueryParameter(name="by", description="How the range is divided, in UTC")]


@get(
    "/usage",
    operation_id="getOwnUsage",
    summary="Get what the tenant uses",
    problems=(InvalidRange,),
    scopes=("tenant:read",),
)
async def get_own_usage(
    reader: NamedDependency[TenantReader], since: Since = None, before: Before = None, bucket: By = "day"
) -> Usage:
    """Return requests, database time and traffic in each hour or day of a range, and rows and bytes at rest."""
    return await own_usage(reader, since=moment_of(since, "from"), before=moment_of(before, "to"), bucket=bucket)


router = Router("/tenant", route_handlers=[get_own_usage], tags=["tenant"])
