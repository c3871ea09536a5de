"""`leasehold worker` as it is, which knows the jobs of the benchmark too: one with a session, one without."""

import sys

from msgspec import Struct

from benchmarks.peers.jobs_work import work
from leasehold.cli import main
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import by_name, tenant_job
from leasehold.worker import running


class Work(Struct, frozen=True):
    number: int
    ms: int


@tenant_job("bench.session")
async def in_a_session(arguments: Work, session: TenantSession) -> None:
    """Work in a transaction that is bound to the tenant, and that also ticks the job off."""
    await work(arguments.number, arguments.ms)


@tenant_job("bench.plain")
async def without_a_session(arguments: Work) -> None:
    await work(arguments.number, arguments.ms)


if __name__ == "__main__":
    running.JOBS = by_name((*running.JOBS.values(), in_a_session, without_a_session))
    sys.argv = ["leasehold", "worker", "--port=0", *sys.argv[1:]]
    main()
