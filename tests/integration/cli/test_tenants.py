"""`leasehold tenants`, `clients` and `tokens`: lines for people, JSON for programs, a sentence for what is wrong."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from leasehold.workspace.scopes import ALL_SCOPES
from tests.integration.cli.shell import Environment, leasehold, refusal_of, settings_of, succeeded

TIMES = {"created_at", "updated_at", "deleted_at", "maintenance_ends_at", "purge_at", "deletion_requested_at"}
FIELDS = {"id", "slug", "name", "state", "revision", "is_canary", "is_read_only", "plan"} | TIMES


@pytest.fixture(scope="session")
def fleet(new_database: Callable[[str], Environment], provision: Callable[..., None]) -> Environment:
    """An installation with two tenants."""
    env = new_database("fleet")
    provision(env, "acme", "globex")
    return env


def tenant_of(printed: str) -> dict[str, Any]:
    tenant: dict[str, Any] = json.loads(printed)
    assert set(tenant) == FIELDS
    return tenant


def test_the_list_names_every_tenant_in_the_order_they_were_made(fleet: Environment) -> None:
    listed = succeeded(leasehold("tenants", "list", env=fleet))
    assert [line.split()[:2] for line in listed.splitlines()][:2] == [["acme", "active"], ["globex", "active"]]
    described = json.loads(succeeded(leasehold("tenants", "list", "--json", env=fleet)))
    assert [row["slug"] for row in described][:2] == ["acme", "globex"]
    assert all(set(row) == FIELDS for row in described)


def test_a_tenant_is_created_shown_suspended_resumed_and_deleted(fleet: Environment) -> None:
    created = succeeded(leasehold("tenants", "create", "initech", "--name", "Initech Inc.", env=fleet))
    assert created.startswith("initech is active: Initech Inc., id ")
    assert created.count("\n") == 1
    shown = tenant_of(succeeded(leasehold("tenants", "show", "initech", "--json", env=fleet)))
    assert (shown["slug"], shown["name"], shown["state"]) == ("initech", "Initech Inc.", "active")
    suspended = succeeded(leasehold("tenants", "suspend", "initech", env=fleet))
    assert suspended.startswith("initech is suspended: ")
    resumed = tenant_of(succeeded(leasehold("tenants", "resume", "initech", "--json", env=fleet)))
    assert resumed["state"] == "active"
    deleted = tenant_of(succeeded(leasehold("tenants", "delete", "initech", "--yes", "--json", env=fleet)))
    assert deleted["state"] == "deleted"
    assert deleted["deleted_at"] is not None
    assert refusal_of(leasehold("tenants", "suspend", "initech", env=fleet)) == (
        "The tenant is deleted; that cannot be done with it now."
    )


def test_a_tenant_is_maintained_deleted_restored_and_purged(fleet: Environment) -> None:
    succeeded(leasehold("tenants", "create", "weyland", env=fleet))
    maintained = succeeded(leasehold("tenants", "maintain", "weyland", "--read-only", "--minutes", "90", env=fleet))
    assert maintained.startswith("weyland is maintenance: weyland, id ")
    assert " It can be read. This is planned until " in maintained
    deleted = succeeded(leasehold("tenants", "delete", "weyland", "--yes", env=fleet))
    assert deleted.rstrip().endswith(" UTC it is purged, unless it is restored.")
    restored = tenant_of(succeeded(leasehold("tenants", "restore", "weyland", "--json", env=fleet)))
    assert (restored["state"], restored["is_read_only"], restored["purge_at"]) == ("maintenance", True, None)
    resumed = tenant_of(succeeded(leasehold("tenants", "resume", "weyland", "--json", env=fleet)))
    assert (resumed["state"], resumed["is_read_only"], resumed["maintenance_ends_at"]) == ("active", False, None)
    assert refusal_of(leasehold("tenants", "purge", "--yes-really", "weyland", env=fleet)) == (
        "The tenant is active; that cannot be done with it now."
    )
    succeeded(leasehold("tenants", "delete", "weyland", "--yes", env=fleet))
    unsure = leasehold("tenants", "purge", "weyland", env=fleet)
    assert unsure.returncode == 2
    assert "--yes-really" in unsure.stderr
    purged = succeeded(leasehold("tenants", "purge", "--yes-really", "weyland", env=fleet))
    assert purged == f"weyland is purged; its id was {restored['id']}.\n"
    assert refusal_of(leasehold("tenants", "show", "weyland", env=fleet)) == "There is no tenant weyland."
    assert succeeded(leasehold("tenants", "create", "weyland", env=fleet)).startswith("weyland is active")


def test_a_tenant_is_copied_with_or_without_what_is_personal(fleet: Environment) -> None:
    succeeded(leasehold("tenants", "create", "stark", env=fleet))
    said = leasehold("tenants", "clone", "stark", "--slug", "stark-staging", "--scrub", env=fleet)
    assert succeeded(said).startswith("stark-staging is a copy of stark, without anything personal: 1 rows, id ")
    assert "audit_events: 1 rows" in said.stderr
    told = json.loads(succeeded(leasehold("tenants", "clone", "stark", "--slug", "stark-two", "--json", env=fleet)))
    assert (told["slug"], told["source"], told["is_scrubbed"]) == ("stark-two", "stark", False)
    assert told["rows"]["audit_events"] == 2
    shown = tenant_of(succeeded(leasehold("tenants", "show", "stark-two", "--json", env=fleet)))
    assert (shown["id"], shown["name"], shown["state"]) == (told["id"], "stark-two", "active")
    taken = leasehold("tenants", "clone", "stark", "--slug", "stark-two", env=fleet)
    assert refusal_of(taken) == "Another tenant has this slug, or had it until lately."
    assert refusal_of(leasehold("tenants", "clone", "nobody", "--slug", "x", env=fleet)) == "There is no tenant nobody."


def test_a_tenant_is_not_deleted_unless_the_question_is_answered_with_yes(fleet: Environment) -> None:
    kept = leasehold("tenants", "delete", "globex", env=fleet, text="n\n")
    assert kept.returncode == 1
    globex = tenant_of(succeeded(leasehold("tenants", "show", "globex", "--json", env=fleet)))
    assert globex["state"] == "active"


def test_a_created_tenant_comes_as_json_alone_when_asked(fleet: Environment) -> None:
    created = tenant_of(succeeded(leasehold("tenants", "create", "umbrella", "--json", env=fleet)))
    assert (created["slug"], created["name"], created["state"]) == ("umbrella", "umbrella", "active")


def test_a_slug_that_is_taken_is_one_sentence(fleet: Environment) -> None:
    assert refusal_of(leasehold("tenants", "create", "acme", env=fleet)) == (
        "Another tenant has this slug, or had it until lately."
    )


@pytest.mark.parametrize("slug", ["www", "a'; DROP SCHEMA platform CASCADE; --"])
def test_a_slug_that_cannot_be_one_is_one_sentence(fleet: Environment, slug: str) -> None:
    assert refusal_of(leasehold("tenants", "create", slug, env=fleet)).startswith("The slug ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenants", "delete", "nobody", "--yes"),
        ("clients", "create", "nobody"),
    ],
)
def test_a_tenant_that_does_not_exist_is_named(fleet: Environment, arguments: tuple[str, ...]) -> None:
    sentence = refusal_of(leasehold(*arguments, env=fleet))
    assert sentence.startswith("There is no ")
    assert sentence.endswith("tenant nobody.")


def test_a_domain_goes_to_one_tenant(fleet: Environment) -> None:
    added = succeeded(leasehold("tenants", "add-domain", "acme", "app.acme.example", env=fleet))
    assert added == "acme answers on app.acme.example.\n"
    taken = leasehold("tenants", "add-domain", "globex", "app.acme.example", env=fleet)
    assert refusal_of(taken) == "The hostname already belongs to a tenant."
    wrong = leasehold("tenants", "add-domain", "globex", "https://Globex", env=fleet)
    assert refusal_of(wrong).startswith("The hostname must be a full domain name")


def test_domains_are_listed_and_taken_away(fleet: Environment) -> None:
    assert succeeded(leasehold("tenants", "domains", "globex", env=fleet)) == "globex has no domain of its own.\n"
    for hostname in ("app.globex.example", "globex.example"):
        succeeded(leasehold("tenants", "add-domain", "globex", hostname, env=fleet))
    listed = succeeded(leasehold("tenants", "domains", "globex", env=fleet))
    assert listed == "app.globex.example\nglobex.example\n"
    removed = succeeded(leasehold("tenants", "remove-domain", "globex", "globex.example", env=fleet))
    assert removed == "globex does not answer on globex.example any more.\n"
    described = json.loads(succeeded(leasehold("tenants", "domains", "globex", "--json", env=fleet)))
    assert [(set(row), row["hostname"]) for row in described] == [
        ({"id", "hostname", "created_at"}, "app.globex.example")
    ]
    for slug, hostname in (("globex", "globex.example"), ("acme", "app.globex.example")):
        gone = leasehold("tenants", "remove-domain", slug, hostname, env=fleet)
        assert refusal_of(gone) == "There is no such thing."


def test_a_renamed_tenant_keeps_its_former_slug_for_as_long_as_the_setting_says(fleet: Environment) -> None:
    succeeded(leasehold("tenants", "create", "hooli", env=fleet))
    assert succeeded(leasehold("tenants", "rename", "hooli", "hooli-two", env=fleet)) == "hooli is hooli-two now.\n"
    taken = refusal_of(leasehold("tenants", "create", "hooli", env=fleet))
    assert taken == "Another tenant has this slug, or had it until lately."
    at_once = {**fleet, "LEASEHOLD_FORMER_SLUG_SECONDS": "0"}
    back = tenant_of(succeeded(leasehold("tenants", "rename", "hooli-two", "hooli", "--json", env=at_once)))
    assert back["slug"] == "hooli"
    assert succeeded(leasehold("tenants", "create", "hooli-two", env=fleet)).startswith("hooli-two is active")
    nobody = leasehold("tenants", "rename", "nobody", "somebody", env=fleet)
    assert refusal_of(nobody) == "There is no tenant nobody."
    assert refusal_of(leasehold("tenants", "rename", "hooli", "www", env=fleet)) == "The slug www is reserved."


def test_a_client_gets_the_scopes_that_were_named(fleet: Environment) -> None:
    printed = succeeded(leasehold("clients", "create", "acme", "--name", "robot", "--scope", "items:read", env=fleet))
    assert set(settings_of(printed)) == {"client_id", "client_secret"}
    described = json.loads(succeeded(leasehold("clients", "create", "globex", "--json", env=fleet)))
    assert set(described) == {"client_id", "client_secret", "name", "scopes"}
    assert described["scopes"] == sorted(ALL_SCOPES)


def test_a_scope_that_does_not_exist_is_named_with_those_that_do(fleet: Environment) -> None:
    for arguments, known in (
        (("clients", "create", "acme", "--scope", "items:delete"), ", ".join(sorted(ALL_SCOPES))),
        (("tokens", "create", "ops", "--scope", "items:delete"), "platform:tenants:read, platform:tenants:write"),
    ):
        sentence = refusal_of(leasehold(*arguments, env=fleet))
        assert "items:delete" in sentence
        assert known in sentence


def test_a_key_of_another_installation_is_one_sentence(fleet: Environment) -> None:
    key = succeeded(leasehold("keys", "generate")).strip()
    sentence = refusal_of(leasehold("clients", "create", "acme", env={**fleet, "LEASEHOLD_INSTALLATION_KEY": key}))
    assert "another installation key" in sentence


def test_without_the_owner_a_tenant_cannot_be_made_and_the_setting_is_named(fleet: Environment) -> None:
    env = {name: value for name, value in fleet.items() if name != "LEASEHOLD_OWNER_URL"}
    assert "LEASEHOLD_OWNER_URL" in refusal_of(leasehold("tenants", "create", "hooli", env=env))
