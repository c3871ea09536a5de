"""`leasehold plans`, and what one tenant may have: the same services as the API, said in words."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.cli.shell import Environment, leasehold, refusal_of, succeeded


@pytest.fixture(scope="session")
def shop(new_database: Callable[[str], Environment], provision: Callable[..., None]) -> Environment:
    """An installation with two tenants."""
    env = new_database("shop")
    provision(env, "acme", "globex")
    return env


def entitlements(env: Environment, slug: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(succeeded(leasehold("tenants", "entitlements", slug, "--json", env=env)))
    return found


def test_a_plan_is_made_listed_changed_and_deleted(shop: Environment) -> None:
    said = ("--limit", "items=1000", "--feature", "bulk_import=off", "--rate-limit", "tenant=100/10s,5000/1h")
    made = succeeded(leasehold("plans", "create", "small", *said, env=shop))
    assert made.split() == ["small", "items=1000", "tenant=100/10s,5000/1h", "bulk_import=off"]
    listed = succeeded(leasehold("plans", "list", env=shop)).splitlines()
    assert listed[0].split() == ["default", "-"]
    assert "small" in {line.split()[0] for line in listed}
    patch = ("--limit", "items=default", "--limit", "users=5", "--feature", "bulk_import=default", "--json")
    changed = json.loads(succeeded(leasehold("plans", "change", "small", *patch, env=shop)))
    assert (changed["limits"], changed["features"]) == ({"users": 5}, {})
    assert json.loads(succeeded(leasehold("plans", "show", "small", "--json", env=shop))) == changed
    assert leasehold("plans", "delete", "small", env=shop, text="n\n").returncode == 1
    assert succeeded(leasehold("plans", "delete", "small", "--yes", env=shop)) == "The plan small was deleted.\n"
    assert refusal_of(leasehold("plans", "show", "small", env=shop)) == "There is no plan small."


def test_a_tenant_gets_a_plan_limits_features_and_rates_and_the_other_keeps_its_own(shop: Environment) -> None:
    succeeded(leasehold("plans", "create", "pro", "--limit", "items=10", "--limit", "users=3", env=shop))
    shown = succeeded(leasehold("tenants", "plan", "acme", "pro", env=shop)).splitlines()
    assert shown[0] == "acme is on the plan pro: users=3  items=10  bulk_import=on"
    succeeded(leasehold("tenants", "limit", "acme", "items=20", "storage_bytes=1000000", env=shop))
    succeeded(leasehold("tenants", "feature", "acme", "bulk_import", "off", env=shop))
    succeeded(leasehold("tenants", "rate-limit", "acme", "client=10/1s", "tenant=off", env=shop))
    acme = entitlements(shop, "acme")
    assert acme["limits"] == {"users": 3, "items": 20, "storage_bytes": 1000000, "statement_ms": None}
    assert acme["features"] == {"bulk_import": False}
    assert acme["rate_limits"] == {"client": "10/1s", "tenant": "off"}
    nothing = {"users": None, "items": None, "storage_bytes": None, "statement_ms": None}
    assert entitlements(shop, "globex")["limits"] == nothing
    undone = succeeded(leasehold("tenants", "limit", "acme", "items=default", "storage_bytes=default", env=shop))
    assert undone.splitlines()[1] == "of that its own: client=10/1s  tenant=off  bulk_import=off"
    in_use = refusal_of(leasehold("plans", "delete", "pro", "--yes", env=shop))
    assert in_use == "Tenants are on the plan pro, or it is the one that new tenants get."
    audited = succeeded(leasehold("audit", "list", "--tenant", "acme", env=shop))
    assert "tenant.plan_changed" in audited
    assert "tenant.rate_limits_changed" in audited


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("tenants", "plan", "acme", "nothing"), "There is no plan nothing."),
        (("tenants", "plan", "nobody", "default"), "There is no tenant nobody."),
        (
            ("tenants", "limit", "acme", "desks=1"),
            "The terms are not acceptable: desks is none of users, items, storage_bytes, statement_ms.",
        ),
        (
            ("tenants", "feature", "acme", "teleport", "on"),
            "The terms are not acceptable: teleport is none of bulk_import.",
        ),
        (("plans", "create", "default"), "There is a plan of this name."),
        (("plans", "change", "nothing", "--limit", "items=1"), "There is no plan nothing."),
    ],
)
def test_what_cannot_be_is_one_sentence(shop: Environment, arguments: tuple[str, ...], sentence: str) -> None:
    assert refusal_of(leasehold(*arguments, env=shop)) == sentence


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenants", "limit", "acme", "items"),
        ("tenants", "limit", "acme", "items=many"),
        ("tenants", "limit", "acme", "items=-1"),
        ("tenants", "limit", "acme", "items=1000000000000001"),
        ("tenants", "limit", "acme"),
        ("tenants", "feature", "acme", "bulk_import", "perhaps"),
        ("plans", "create", "Not A Name"),
        ("plans", "create", "x", "--feature", "bulk_import=1"),
    ],
)
def test_what_says_nothing_is_refused_by_usage(shop: Environment, arguments: tuple[str, ...]) -> None:
    finished = leasehold(*arguments, env=shop)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    assert "Usage" in finished.stderr
