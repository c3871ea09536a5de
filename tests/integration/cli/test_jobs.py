"""`leasehold jobs`: lines for people, JSON for programs, a sentence for what is refused, by the service of the API."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.integration.cli.shell import Environment, leasehold, refusal_of, running, succeeded
from tests.queued import SECRET, queued, row_of

NOBODY = "0198c5f2-0000-7000-8000-000000000000"
_SOME_TASKS = {"admins.expire_tokens", "kernel.tidy_up"}
NO_JOBS = {"delayed": 0, "ready": 0, "running": 0, "dead": 0, "dropped": 0}


@pytest.fixture(scope="session")
def two_tenants(new_database: Callable[[str], Environment], provision: Callable[..., None]) -> Environment:
    """An installation with two tenants."""
    env = new_database("jobs")
    provision(env, "acme", "globex")
    return env


@pytest.fixture
def env(two_tenants: Environment) -> Environment:
    """The same with an empty queue."""
    with psycopg.connect(two_tenants["LEASEHOLD_DATABASE_URL"]) as connection:
        for table in ("jobs", "job_workers", "periodic_tasks"):
            connection.execute(f"DELETE FROM platform.{table}".encode())
    return two_tenants


@pytest.fixture
def url(env: Environment) -> str:
    """The login of the app."""
    return env["LEASEHOLD_DATABASE_URL"]


def tenant_id(url: str, slug: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT id FROM platform.tenants WHERE slug = %s", [slug]).fetchone()
    assert row is not None
    return str(row[0])


def state_of(url: str, job_id: str) -> str:
    return (row_of(url, job_id) or {"state": "gone"})["state"]


def test_a_list_holds_what_its_options_name_the_latest_first(env: Environment, url: str) -> None:
    acme = tenant_id(url, "acme")
    first = queued(url, acme, "dead", error="it broke\nbadly", attempts=3)
    other = queued(url, tenant_id(url, "globex"), "dead", name="tests.other")
    ready = queued(url, None, "ready")
    assert [line.split()[0] for line in succeeded(leasehold("jobs", "list", env=env)).splitlines()] == [
        ready,
        other,
        first,
    ]
    [line] = succeeded(leasehold("jobs", "list", "--state", "dead", "--tenant", "acme", env=env)).splitlines()
    assert line.split()[:4] == [first, "dead", "tests.fail", "acme"]
    assert "attempt 3 of 3" in line
    assert line.endswith("  it broke")
    [named] = json.loads(succeeded(leasehold("jobs", "list", "--name", "tests.other", "--json", env=env)))
    assert (named["id"], named["tenant_slug"]) == (other, "globex")
    some = succeeded(leasehold("jobs", "list", "--limit", "1", env=env)).splitlines()
    assert [some[0].split()[0], *some[1:]] == [ready, "There are more."]
    assert succeeded(leasehold("jobs", "list", "--state", "dropped", env=env)) == "There are no such jobs.\n"


def test_a_job_is_shown_with_its_traceback_and_without_its_arguments(env: Environment, url: str) -> None:
    trace = "Traceback:\n  in a line\x1b[2J"
    job_id = queued(url, None, "dead", error="\x1b]0;it broke", traceback=trace)
    printed = succeeded(leasehold("jobs", "show", job_id, env=env))
    line, *rest = printed.splitlines()
    assert line.split()[:4] == [job_id, "dead", "tests.fail", "(platform)"]
    assert rest == ["Traceback:", "  in a line\N{REPLACEMENT CHARACTER}[2J"]
    assert "\x1b" not in printed
    described = succeeded(leasehold("jobs", "show", job_id, "--json", env=env))
    assert json.loads(described)["traceback"] == trace
    assert SECRET not in printed + described


def test_jobs_that_are_named_are_retried_and_dropped(env: Environment, url: str) -> None:
    made = [queued(url, tenant_id(url, "acme"), "dead") for _ in range(2)]
    retried = succeeded(leasehold("jobs", "retry", *made, env=env))
    assert [line.split()[:2] for line in retried.splitlines()] == [[job_id, "ready"] for job_id in made]
    dropped = json.loads(succeeded(leasehold("jobs", "drop", made[1], made[1], "--json", env=env)))
    assert [(job["id"], job["state"]) for job in dropped] == [(made[1], "dropped")]
    assert [state_of(url, job_id) for job_id in made] == ["ready", "dropped"]


@pytest.mark.parametrize(
    ("action", "state", "sentence"),
    [
        ("retry", "running", "The job {id} is running; that cannot be done with it now."),
        ("drop", "running", "The job {id} is running; that cannot be done with it now."),
        ("retry", None, f"There is no job {NOBODY}."),
    ],
)
def test_a_job_that_cannot_be_changed_is_named_and_the_others_stay_as_they_are(
    env: Environment, url: str, action: str, state: str | None, sentence: str
) -> None:
    good = queued(url, None, "dead")
    bad = queued(url, None, state) if state else NOBODY
    assert refusal_of(leasehold("jobs", action, good, bad, env=env)) == sentence.format(id=bad)
    assert state_of(url, good) == "dead"


def test_all_dead_jobs_are_retried_or_those_of_a_name(env: Environment, url: str) -> None:
    other = queued(url, None, "dead", name="tests.other")
    made = [queued(url, None, "dead") for _ in range(3)]
    some = succeeded(leasehold("jobs", "retry", "--all-dead", "--name", "tests.other", "--json", env=env))
    assert json.loads(some) == {"jobs": 1}
    assert [state_of(url, job_id) for job_id in (other, *made)] == ["ready", "dead", "dead", "dead"]
    assert succeeded(leasehold("jobs", "retry", "--all-dead", env=env)) == "Jobs that were dead and are ready: 3\n"
    assert [state_of(url, job_id) for job_id in made] == ["ready"] * 3


@pytest.mark.parametrize(
    "arguments",
    [("retry",), ("retry", NOBODY, "--all-dead"), ("retry", NOBODY, "--name", "x.y"), ("drop",), ("show", "first")],
)
def test_what_names_no_job_or_too_many_is_explained(env: Environment, arguments: tuple[str, ...]) -> None:
    refused = leasehold("jobs", *arguments, env=env)
    assert refused.returncode == 2
    assert "Usage: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_tenant_that_does_not_exist_is_one_sentence(env: Environment) -> None:
    assert refusal_of(leasehold("jobs", "list", "--tenant", "nobody", env=env)) == "There is no tenant nobody."


def test_the_status_counts_jobs_and_names_workers_and_tasks(env: Environment, url: str, tmp_path: Path) -> None:
    idle = json.loads(succeeded(leasehold("jobs", "status", "--json", env=env)))
    assert idle == {"jobs": NO_JOBS, "workers": [], "periodic_tasks": []}
    job_id = queued(url, tenant_id(url, "acme"), "ready", name="tests.unheard_of", max_attempts=1)
    with running("worker", "--port", "0", env=env, folder=tmp_path) as worker:
        worker.wait_for(lambda: state_of(url, job_id) == "dead")
        told: list[str] = []

        def is_told() -> bool:
            told[:] = succeeded(leasehold("jobs", "status", env=env)).splitlines()
            tasks = {task.partition(" (")[0] for task in told[2:]}
            return told[0] == "delayed 0, ready 0, running 0, dead 1, dropped 0" and tasks >= _SOME_TASKS

        worker.wait_for(is_told)  # its tasks come by and by, and for a moment of each minute there are jobs of theirs
        who = told[1]
        assert who.startswith("worker ")
        assert f", process {worker.process.pid}: since " in who
    after = succeeded(leasehold("jobs", "status", env=env)).splitlines()
    assert after[1] == "No worker lives."
