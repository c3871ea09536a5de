"""What a job is: a function with typed arguments that is asked for by name, and called by a worker."""

import inspect
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec
from cronsim import CronSim, CronSimError

ArgumentsT = TypeVar("ArgumentsT", bound=msgspec.Struct)
JobFunction = Callable[..., Awaitable[None]]

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_MOST_BACKOFF_S = 3600.0
_MOST_DOUBLINGS = 12
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)

SPARE_ATTEMPTS = 5
"""How many attempts a job has behind those in which it does its work, where somebody must be told that it failed.

Who is killed in the last one cannot tell; so it is called again, to tell and to do no more than that.
"""


class Plane(StrEnum):
    """For whom a job may run."""

    TENANT = "tenant"
    PLATFORM = "platform"
    EITHER = "either"


class BadJob(TypeError):
    """The job {name} cannot be called: {reason}."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(name=name, reason=reason))


class GivenUp(RuntimeError):
    """It was tried {attempts} times, and will not be tried again: {reason}."""

    def __init__(self, *, attempts: int, reason: object) -> None:
        super().__init__((self.__doc__ or "").format(attempts=attempts, reason=str(reason).rstrip(".")))


class NoArguments(msgspec.Struct, frozen=True):
    """The arguments of a job that needs none."""


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[ArgumentsT]):
    """A function that workers call, and how."""

    name: str
    plane: Plane
    function: JobFunction
    arguments: type[ArgumentsT]
    needs: frozenset[str]
    """The names of what the function wants to be given besides its arguments: `session`, `mailer`, ..."""
    priority: int = 0
    """Among the jobs of one tenant, the higher goes first."""
    max_attempts: int = 10
    timeout_s: float = 300.0
    """Seconds after which a call is cancelled, and counts as failed."""

    @property
    def is_transaction(self) -> bool:
        """Whether a call is one transaction, in which it is also ticked off: its rows are then written exactly once."""
        return "session" in self.needs


@dataclass(frozen=True, slots=True)
class Periodic:
    """A job of the platform that runs by the clock, once for each time that is due, whatever the number of workers."""

    cron: str
    """A cron expression, in UTC."""
    job: Job[NoArguments]

    def __post_init__(self) -> None:
        if self.job.plane is Plane.TENANT:
            raise BadJob(self.job.name, "what is periodic belongs to the platform; it can enqueue jobs of tenants")
        try:
            self.last_due(_ANY_TIME)
        except (CronSimError, StopIteration) as error:
            raise BadJob(self.job.name, f"the cron expression {self.cron!r} is not valid") from error

    def last_due(self, now: datetime) -> datetime:
        """Return the latest time before `now` (in UTC) at which it was due."""
        return next(CronSim(self.cron, now, reverse=True))

    def next_but_one(self, last_due: datetime) -> datetime:
        """Return the second time after `last_due`.

        Where it was enqueued for a later one, the clock was far ahead, and was set right since: it must not be silent
        until then. A clock that was set back by less passes a time twice, for which it is enqueued once.
        """
        coming = CronSim(self.cron, last_due)
        next(coming)
        return next(coming)


def tenant_job(name: str, **options: Any) -> Callable[[JobFunction], Job[Any]]:
    """Make a function a job that runs for one tenant at a time.

    Raises:
        BadJob: the name is not `feature.verb`, the first parameter is not annotated with a msgspec struct, or it would
            need two connections.
    """
    return _decorator(name, Plane.TENANT, options)


def platform_job(name: str, **options: Any) -> Callable[[JobFunction], Job[Any]]:
    """Make a function a job of the platform, which reaches no tenant's data.

    Raises:
        BadJob: as for `tenant_job`.
    """
    return _decorator(name, Plane.PLATFORM, options)


def job_of_either(name: str, **options: Any) -> Callable[[JobFunction], Job[Any]]:
    """Make a function a job that tenants and the platform may ask for, and that touches no data of either.

    Raises:
        BadJob: as for `tenant_job`.
    """
    return _decorator(name, Plane.EITHER, options)


def by_name(jobs: Iterable[Job[Any]]) -> Mapping[str, Job[Any]]:
    """Return jobs by their names.

    Raises:
        BadJob: two have the same name.
    """
    named: dict[str, Job[Any]] = {}
    for job in jobs:
        if job.name in named:
            raise BadJob(job.name, "another job has this name")
        named[job.name] = job
    return named


def backoff_s(attempt: int) -> float:
    """Return how many seconds to wait after a failed attempt: twice as long each time, up to an hour, with jitter."""
    return min(2.0 ** min(attempt, _MOST_DOUBLINGS), _MOST_BACKOFF_S) * random.uniform(0.5, 1.5)  # noqa: S311  # nothing secret hangs on it


def _decorator(name: str, plane: Plane, options: dict[str, Any]) -> Callable[[JobFunction], Job[Any]]:
    def decorate(function: JobFunction) -> Job[Any]:
        if not _NAME.fullmatch(name):
            raise BadJob(name, "a name looks like feature.verb")
        parameters = list(inspect.signature(function).parameters)
        arguments = get_type_hints(function).get(parameters[0]) if parameters else None
        if not (isinstance(arguments, type) and issubclass(arguments, msgspec.Struct)):
            raise BadJob(name, "its first parameter is annotated with no msgspec struct")
        needs = frozenset(parameters[1:])
        if plane is Plane.EITHER and "session" in needs:
            raise BadJob(name, "a session is one of the platform or one of a tenant")
        if needs >= {"session", "open_session"}:
            # While the job's own transaction is open: a worker that is full would wait for itself.
            raise BadJob(name, "with a session it would open another, and there is one connection for each job")
        return Job(name, plane, function, arguments, needs, **options)

    return decorate
