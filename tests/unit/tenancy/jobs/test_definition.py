"""What can be a job, and when a periodic one is due."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Struct

from leasehold.core.database import PlatformSession
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import (
    BadJob,
    Job,
    NoArguments,
    Periodic,
    Plane,
    backoff_s,
    by_name,
    job_of_either,
    platform_job,
    tenant_job,
)
from leasehold.tenancy.jobs.enqueue import of_each_tenant


class Greeting(Struct, frozen=True):
    name: str


async def greet(_arguments: Greeting, session: TenantSession, mailer: object) -> None: ...


async def count(_arguments: NoArguments, session: PlatformSession) -> None: ...


async def tell(_arguments: Greeting, mailer: object) -> None: ...


def _job(name: str) -> Job[Any]:
    return tenant_job(name)(greet)


def test_a_job_knows_its_plane_its_arguments_and_what_it_needs() -> None:
    job = tenant_job("users.greet", priority=5, max_attempts=3, timeout_s=60)(greet)
    assert (job.name, job.plane, job.function, job.arguments) == ("users.greet", Plane.TENANT, greet, Greeting)
    assert job.needs == {"session", "mailer"}
    assert (job.priority, job.max_attempts, job.timeout_s) == (5, 3, 60)


def test_the_decorators_differ_in_the_plane() -> None:
    assert platform_job("users.count")(count).plane is Plane.PLATFORM
    assert job_of_either("users.tell")(tell).plane is Plane.EITHER


def test_a_job_with_a_session_is_a_transaction_and_any_other_is_not() -> None:
    assert _job("users.greet").is_transaction
    assert not job_of_either("users.tell")(tell).is_transaction


@pytest.mark.parametrize("name", ["users.greet", "users.greet_all", "a.b", "users.mail.welcome", "v2.go2"])
def test_a_name_is_a_feature_and_a_verb(name: str) -> None:
    assert _job(name).name == name


@pytest.mark.parametrize(
    "name", ["", "greet", "users.", ".greet", "Users.greet", "users greet", "users..greet", "2.go", "users.greet\n"]
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(BadJob, match=r"a name looks like feature\.verb"):
        _job(name)


async def _without_parameters() -> None: ...


async def _with_any(arguments: Any, session: TenantSession) -> None: ...


async def _with_a_mapping(arguments: dict[str, str]) -> None: ...


@pytest.mark.parametrize("function", [_without_parameters, _with_any, _with_a_mapping])
def test_a_function_whose_arguments_are_no_struct_is_refused(function: Any) -> None:
    with pytest.raises(BadJob, match="its first parameter is annotated with no msgspec struct"):
        tenant_job("users.greet")(function)


def test_a_job_of_either_plane_has_no_session() -> None:
    with pytest.raises(BadJob, match="a session is one of the platform or one of a tenant"):
        job_of_either("users.greet")(greet)


@pytest.mark.parametrize("decorator", [tenant_job, platform_job])
def test_a_job_that_would_hold_two_connections_is_refused(decorator: Any) -> None:
    async def copy(_arguments: NoArguments, session: TenantSession, open_session: object) -> None: ...

    with pytest.raises(BadJob, match="with a session it would open another, and there is one connection for each job"):
        decorator("users.copy")(copy)


def test_two_jobs_of_one_name_are_refused() -> None:
    first, other = _job("users.greet"), _job("users.bid_farewell")
    assert by_name([first, other]) == {"users.greet": first, "users.bid_farewell": other}
    with pytest.raises(BadJob, match=r"The job users\.greet cannot be called: another job has this name\."):
        by_name([first, other, _job("users.greet")])


@pytest.mark.parametrize(
    ("attempt", "middle_s"), [(1, 2), (2, 4), (5, 32), (11, 2048), (12, 3600), (13, 3600), (100_000, 3600)]
)
def test_a_failed_attempt_waits_twice_as_long_each_time_up_to_an_hour_with_jitter(attempt: int, middle_s: int) -> None:
    waits = [backoff_s(attempt) for _ in range(300)]
    assert 0.5 * middle_s <= min(waits) < 0.75 * middle_s
    assert 1.25 * middle_s < max(waits) <= 1.5 * middle_s


_HOURLY = Periodic("17 * * * *", platform_job("users.count")(count))


@pytest.mark.parametrize(
    ("now", "due_at"),
    [
        (datetime(2026, 7, 31, 12, 17, 0, 1, tzinfo=UTC), datetime(2026, 7, 31, 12, 17, tzinfo=UTC)),
        (datetime(2026, 7, 31, 12, 17, tzinfo=UTC), datetime(2026, 7, 31, 11, 17, tzinfo=UTC)),
        (datetime(2026, 7, 31, 13, 16, 59, 999_999, tzinfo=UTC), datetime(2026, 7, 31, 12, 17, tzinfo=UTC)),
        (datetime(2027, 1, 1, 0, 5, tzinfo=UTC), datetime(2026, 12, 31, 23, 17, tzinfo=UTC)),
    ],
)
def test_the_last_due_time_lies_before_now(now: datetime, due_at: datetime) -> None:
    assert _HOURLY.last_due(now) == due_at


@pytest.mark.parametrize(
    ("cron", "last_due", "expected"),
    [
        ("17 * * * *", datetime(2026, 7, 31, 22, 17, tzinfo=UTC), datetime(2026, 8, 1, 0, 17, tzinfo=UTC)),
        ("* * * * * *", datetime(2026, 7, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 8, 1, 0, 0, 1, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2024, 2, 29, tzinfo=UTC), datetime(2032, 2, 29, tzinfo=UTC)),
    ],
)
def test_the_next_but_one_is_the_second_time_after_the_last(cron: str, last_due: datetime, expected: datetime) -> None:
    assert Periodic(cron, platform_job("users.count")(count)).next_but_one(last_due) == expected


@pytest.mark.parametrize("cron", ["", "nonsense", "61 * * * *", "* * * *", "0 0 30 2 *", "@daily"])
def test_an_expression_that_is_none_or_never_comes_due_is_refused_at_once(cron: str) -> None:
    with pytest.raises(BadJob, match=r"the cron expression .* is not valid"):
        Periodic(cron, platform_job("users.count")(count))


def test_what_is_periodic_belongs_to_the_platform() -> None:
    async def tidy(_arguments: NoArguments, session: TenantSession) -> None: ...

    with pytest.raises(BadJob, match="what is periodic belongs to the platform"):
        Periodic("17 * * * *", tenant_job("users.tidy")(tidy))


def test_a_job_of_the_platform_cannot_run_for_each_tenant() -> None:
    @platform_job("tests.tick")
    async def tick(_arguments: NoArguments) -> None: ...

    with pytest.raises(BadJob, match=r"tests\.tick .*not one of the tenants"):
        of_each_tenant(tick)
