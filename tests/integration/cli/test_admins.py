"""`leasehold admins` and `leasehold tokens`: who runs the platform, said by who holds its secrets."""

import json
from collections.abc import Callable

import pytest

from leasehold.platform.scopes import PLATFORM_SCOPES
from tests.integration.cli.shell import Environment, leasehold, refusal_of, succeeded


@pytest.fixture(scope="session")
def platform(new_database: Callable[[str], Environment]) -> Environment:
    """An installation without tenants."""
    return new_database("admins")


def test_an_admin_is_made_changed_disabled_and_let_in_again(platform: Environment) -> None:
    printed = succeeded(leasehold("admins", "create", "robin", env=platform)).splitlines()
    assert [line.partition("=")[0] for line in printed] == ["admin", "setup_secret", "expires_at"]
    assert printed[1].startswith("setup_secret=lh_setup_")

    def listed() -> dict[str, object]:
        found = json.loads(succeeded(leasehold("admins", "list", "--json", env=platform)))
        (robin,) = [admin for admin in found if admin["name"] == "robin"]
        return {field: robin[field] for field in ("scopes", "is_active", "has_totp")}

    assert listed() == {"scopes": sorted(PLATFORM_SCOPES), "is_active": True, "has_totp": False}
    # Somebody else must be left who may change admins.
    succeeded(leasehold("admins", "create", "kim", "--scope", "platform:admins:write", env=platform))
    succeeded(leasehold("admins", "scopes", "robin", "--scope", "platform:audit:read", env=platform))
    assert "disabled" in succeeded(leasehold("admins", "disable", "robin", env=platform))
    assert listed() == {"scopes": ["platform:audit:read"], "is_active": False, "has_totp": False}
    assert "disabled" not in succeeded(leasehold("admins", "enable", "robin", env=platform))
    reset = json.loads(succeeded(leasehold("admins", "reset", "robin", "--without-totp", "--json", env=platform)))
    assert reset["name"] == "robin"
    assert reset["setup_secret"].startswith("lh_setup_")


def test_what_cannot_be_done_is_said_in_a_sentence(platform: Environment) -> None:
    succeeded(leasehold("admins", "create", "alex", env=platform))
    assert refusal_of(leasehold("admins", "create", "alex", env=platform)) == "There is an admin of this name."
    assert refusal_of(leasehold("admins", "disable", "nobody", env=platform)) == "There is no admin named nobody."
    assert "no scope items:read" in refusal_of(
        leasehold("admins", "create", "sam", "--scope", "items:read", env=platform)
    )
    answer = leasehold("admins", "create", "Not A Name", env=platform)
    assert answer.returncode == 2
    assert "small letters, digits" in answer.stderr


def test_tokens_are_made_listed_and_revoked(platform: Environment) -> None:
    token = succeeded(leasehold("tokens", "create", "ci", "--scope", "platform:fleet:read", env=platform)).strip()
    assert token.startswith("lh_admin_")
    (made,) = json.loads(succeeded(leasehold("tokens", "list", "ci", "--json", env=platform)))
    assert (made["admin_name"], made["scopes"], made["last_used_at"]) == ("ci", ["platform:fleet:read"], None)
    assert token not in json.dumps(made)
    assert made["id"] in succeeded(leasehold("tokens", "list", env=platform))
    assert succeeded(leasehold("tokens", "revoke", made["id"], env=platform)) == f"{made['id']} is revoked.\n"
    assert refusal_of(leasehold("tokens", "revoke", made["id"], env=platform)) == "There is no such resource."
    assert succeeded(leasehold("tokens", "list", "ci", env=platform)) == "There is no token.\n"
