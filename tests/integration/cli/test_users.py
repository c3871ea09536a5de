"""`leasehold users invite`: the way in for the first person of a tenant."""

import json
from collections.abc import Callable

import pytest

from tests.integration.cli.shell import Environment, leasehold, refusal_of, succeeded


@pytest.fixture(scope="session")
def acme(new_database: Callable[[str], Environment], provision: Callable[..., None]) -> Environment:
    """An installation with one tenant."""
    env = new_database("users")
    provision(env, "acme")
    return env


def test_an_invitation_is_printed_once_with_its_link(acme: Environment) -> None:
    printed = succeeded(leasehold("users", "invite", "acme", "First@Acme.example", "--role", "owner", env=acme))
    invitation, link = printed.splitlines()
    secret = invitation.removeprefix("invitation=")
    assert secret.startswith("lh_invitation_")
    assert link == f"link=http://acme.localhost:8000/accept-invitation#{secret}"
    again = refusal_of(leasehold("users", "invite", "acme", "first@acme.example", env=acme))
    assert again.startswith("There is an invitation for this e-mail address already")


def test_the_same_as_json(acme: Environment) -> None:
    made = json.loads(succeeded(leasehold("users", "invite", "acme", "sam@acme.example", "--json", env=acme)))
    assert set(made) == {"id", "email", "role", "secret", "link", "expires_at"}
    assert (made["email"], made["role"]) == ("sam@acme.example", "member")


def test_a_tenant_that_is_not_there_and_a_text_that_is_no_address_are_refused(acme: Environment) -> None:
    assert "nobody" in refusal_of(leasehold("users", "invite", "nobody", "x@acme.example", env=acme))
    answer = leasehold("users", "invite", "acme", "x", env=acme)
    assert answer.returncode == 2
    assert "this is no e-mail address" in answer.stderr
