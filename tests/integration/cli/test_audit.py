"""`leasehold audit list`, and what the other commands leave for it to show."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.cli.shell import Environment, leasehold, refusal_of, succeeded


@pytest.fixture(scope="session")
def env(new_database: Callable[[str], Environment]) -> Environment:
    """An installation in which an operator has done a few things."""
    env = new_database("audit")
    for command in (
        ("tenants", "create", "acme", "--name", "Sam Doe"),
        ("tenants", "create", "globex"),
        ("clients", "create", "acme", "--name", "Sam's laptop", "--scope", "items:read"),
        ("tokens", "create", "Sam Doe", "--scope", "platform:audit:read"),
        ("tenants", "suspend", "acme"),
    ):
        succeeded(leasehold(*command, env=env))
    return env


def events(env: Environment, *options: str) -> list[dict[str, Any]]:
    return json.loads(succeeded(leasehold("audit", "list", "--json", *options, env=env)))


def test_the_platforms_log_tells_what_the_operator_did_by_which_command(env: Environment) -> None:
    told = [(event["action"], event["actor_kind"], event["reason"]) for event in events(env)]
    assert told == [
        ("tenant.suspended", "operator", "leasehold tenants suspend"),
        ("admin_token.issued", "operator", "leasehold tokens create"),
        ("admin.created", "operator", "leasehold tokens create"),
        ("tenant.provisioned", "operator", "leasehold tenants create"),
        ("tenant.provisioned", "operator", "leasehold tenants create"),
        ("fleet.run_started", "operator", "leasehold"),
    ]
    assert "Sam" not in json.dumps(events(env))


def test_the_log_of_a_tenant_is_shown_even_if_it_is_suspended(env: Environment) -> None:
    told = events(env, "--tenant", "acme")
    assert [event["action"] for event in told] == ["tenant.suspended", "client.created", "tenant.provisioned"]
    assert told[1]["changes"] == {"scopes": {"from": None, "to": ["items:read"]}}
    assert "Sam" not in json.dumps(told)
    assert [event["action"] for event in events(env, "--tenant", "globex")] == ["tenant.provisioned"]


def test_options_leave_what_they_name(env: Environment) -> None:
    suspended = events(env, "--action", "tenant.suspended")
    assert [event["action"] for event in suspended] == ["tenant.suspended"]
    target = suspended[0]["target_id"]
    assert [event["action"] for event in events(env, "--target", target)] == ["tenant.suspended", "tenant.provisioned"]
    assert events(env, "--actor", target) == []
    assert [event["action"] for event in events(env, "--search", "suspend -create")] == ["tenant.suspended"]
    assert len(events(env, "--search", "provisioned")) == 2
    assert events(env, "--since", "2999-01-01") == []
    assert len(events(env, "--since", "2020-01-01T00:00:00")) == 6


def test_a_person_gets_a_line_for_each_event(env: Environment) -> None:
    first, second, more = succeeded(leasehold("audit", "list", "--limit", "2", env=env)).splitlines()
    assert first.split("  ")[1].startswith("tenant.suspended")
    assert first.endswith(" state, by operator (leasehold tenants suspend)")
    assert "admin_token.issued" in second
    assert more == "There are more."
    assert succeeded(leasehold("audit", "list", "--action", "x", env=env)) == "There are no such events.\n"


def test_the_log_of_nobody_is_refused_with_a_sentence(env: Environment) -> None:
    assert refusal_of(leasehold("audit", "list", "--tenant", "nobody", env=env)) == "There is no tenant nobody."
