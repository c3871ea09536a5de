"""Calls one job: finds its function, gives it what it needs, and ticks it off where its work is a transaction."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from traceback import walk_tb
from typing import Any

import msgspec

from leasehold.core.database import PlatformSession, platform_session
from leasehold.core.errors import DatabaseUnavailable, Unavailable
from leasehold.core.line import TooManyAtOnce
from leasehold.mail.message import Mailer
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession, open_tenant_session, tenant_reader
from leasehold.tenancy.context import TenantPutBack, TenantRef, TenantState
from leasehold.tenancy.directory import DirectoryStale
from leasehold.tenancy.jobs.definition import BadJob, Job, Plane
from leasehold.tenancy.jobs.queue import ClaimedJob, finish_in
from leasehold.tenancy.window import TenantNotMigrated

Given = Mapping[str, Callable[[], Any]]
"""What a job may ask for besides its session, by name."""


class UnknownJob(LookupError):
    """This release has no job {name}."""

    def __init__(self, name: str) -> None:
        super().__init__((self.__doc__ or "").format(name=name))


class WrongPlane(PermissionError):
    """The job {name} was asked for by {whom}, and is not for them."""

    def __init__(self, name: str, whom: str) -> None:
        super().__init__((self.__doc__ or "").format(name=name, whom=whom))


class TookTooLong(TimeoutError):
    """The job was cancelled after {seconds:g} seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__((self.__doc__ or "").format(seconds=seconds))


class TenantNotActive(Unavailable):
    """The tenant is not active; its jobs wait until it is."""


NOT_NOW = (TenantNotActive, TenantNotMigrated, TenantPutBack, DirectoryStale, TooManyAtOnce)
"""What is no fault of a job: it is put off, and not counted as an attempt."""


def is_of_database(error: DatabaseUnavailable) -> bool:
    """Whether a database was away indeed.

    A unit of work takes every error of the network for one of the database, also what a job met elsewhere; that counts.
    """
    cause = error.__cause__
    if not isinstance(cause, OSError):
        return True
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(cause.__traceback__))
    return any(module.partition(".")[0] in {"sqlalchemy", "asyncpg"} for module in modules)


class Caller:
    """Calls jobs with the parts of a process."""

    def __init__(self, process: Process, jobs: Mapping[str, Job[Any]], mailer: Mailer) -> None:
        """Take the jobs of this release.

        Raises:
            BadJob: one needs something that nobody gives.
        """
        self._process = process
        # Statements of requests are held to a time; in a server, too, a job takes as long as it does.
        self._database = replace(process.database, statement_ms=None)
        self._jobs = jobs
        self._mailer = mailer
        for job in jobs.values():
            unknown = job.needs - _GIVEN_TO[job.plane]
            if unknown:
                raise BadJob(job.name, f"it needs {', '.join(sorted(unknown))}, which its plane does not give")

    async def call(self, claimed: ClaimedJob) -> bool:
        """Call a job, and say whether it was ticked off in a transaction of its own.

        Raises:
            TenantNotActive, TenantNotMigrated, TenantPutBack, DirectoryStale, TooManyAtOnce: not now.
            JobLost: it is another worker's by now, and nothing of it stays.
            DatabaseUnavailable: it met a database that is away.
            UnknownJob, WrongPlane, msgspec.ValidationError: it cannot be called.
            TookTooLong: it was cancelled.
            Exception: whatever the function raises.
        """
        job = self._jobs.get(claimed.name)
        if job is None:
            raise UnknownJob(claimed.name)
        if job.plane is not Plane.EITHER and (claimed.tenant_id is None) is not (job.plane is Plane.PLATFORM):
            raise WrongPlane(job.name, "the platform" if claimed.tenant_id is None else "a tenant")
        tenant = self._tenant_of(claimed)
        arguments = msgspec.json.decode(claimed.arguments, type=job.arguments)
        given = self._given(claimed, tenant)
        needs: dict[str, Any] = {name: given[name]() for name in job.needs - {"session"}}
        limit = asyncio.timeout(job.timeout_s)
        try:
            async with limit:
                if not job.is_transaction:
                    await job.function(arguments, **needs)
                    return False
                async with self._session(tenant) as session:
                    await job.function(arguments, session=session, **needs)
                    await finish_in(session, claimed)
        except TimeoutError as error:
            if limit.expired():
                raise TookTooLong(job.timeout_s) from error
            raise
        return True

    def _session(self, tenant: TenantRef | None) -> AbstractAsyncContextManager[TenantSession | PlatformSession]:
        return platform_session(self._database) if tenant is None else open_tenant_session(self._database, tenant)

    def _tenant_of(self, claimed: ClaimedJob) -> TenantRef | None:
        if claimed.tenant_id is None:
            return None
        self._process.directory.demand_fresh()
        tenant = self._process.directory.by_id(claimed.tenant_id)
        if tenant is None or tenant.state is not TenantState.ACTIVE:
            raise TenantNotActive
        self._process.window.demand(tenant)
        return tenant

    def _given(self, claimed: ClaimedJob, tenant: TenantRef | None) -> Given:
        process = self._process
        of_either: dict[str, Callable[[], Any]] = {"job": lambda: claimed, "mailer": lambda: self._mailer}
        if tenant is None:
            return of_either | {
                "open_session": lambda: partial(platform_session, self._database),
                "provisioner": lambda: process.provisioner,
                "purger": lambda: process.purger,
                "cloner": lambda: process.cloner,
                "vacancies": lambda: process.settings.vacancies,
            }
        return of_either | {
            "tenant": lambda: tenant,
            "installation_key": lambda: process.key,
            "links": lambda: process.links,
            "reader": lambda: tenant_reader(process.readers, tenant, is_hurried=False),
            "open_session": lambda: partial(open_tenant_session, self._database, tenant),
        }


_OF_EITHER = frozenset({"job", "mailer"})
_GIVEN_TO: Mapping[Plane, frozenset[str]] = {
    Plane.EITHER: _OF_EITHER,
    Plane.TENANT: _OF_EITHER | {"session", "open_session", "reader", "tenant", "installation_key", "links"},
    Plane.PLATFORM: _OF_EITHER | {"session", "open_session", "provisioner", "purger", "cloner", "vacancies"},
}
