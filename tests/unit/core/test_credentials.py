"""The secrets that clients hold."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.credentials import MalformedSecret, ParsedSecret, new_secret, parse_secret, secret_digest

_TENANT = UUID("0199a1f0-0000-7000-8000-000000000001")
_OTHER = UUID("0199a1f0-0000-7000-8000-000000000002")


def _is_refused(text: str) -> bool:
    try:
        parse_secret(text)
    except MalformedSecret:
        return True
    return False


def test_a_secret_of_a_tenant_has_the_shape_that_scanners_know() -> None:
    assert re.fullmatch(r"lh_client_[0-9A-Za-z]{22}_[0-9A-Za-z]{38}", new_secret("client", tenant_id=_TENANT))


def test_a_secret_of_an_admin_has_no_tenant_part() -> None:
    assert re.fullmatch(r"lh_admin_[0-9A-Za-z]{38}", new_secret("admin", tenant_id=None))


def test_no_two_secrets_are_equal() -> None:
    assert len({new_secret("client", tenant_id=_TENANT) for _ in range(1000)}) == 1000


def test_a_secret_says_its_kind_and_its_tenant() -> None:
    assert parse_secret(new_secret("client", tenant_id=_TENANT)) == ParsedSecret("client", _TENANT)
    assert parse_secret(new_secret("admin", tenant_id=None)) == ParsedSecret("admin", None)


@pytest.mark.parametrize("replacement", ["A", "a", "0", "_", " ", "\n", "é", "ÿ", "٣", "\0"])
@pytest.mark.parametrize("tenant_id", [_TENANT, None], ids=["of a tenant", "of an admin"])
def test_a_secret_with_any_letter_changed_is_refused(tenant_id: UUID | None, replacement: str) -> None:
    secret = new_secret("client", tenant_id=tenant_id)
    altered = {secret[:place] + replacement + secret[place + 1 :] for place in range(len(secret))} - {secret}
    assert [text for text in altered if not _is_refused(text)] == []


def test_a_secret_with_two_neighbours_swapped_is_refused() -> None:
    secret = new_secret("client", tenant_id=_TENANT)
    swapped = {
        secret[:place] + secret[place + 1] + secret[place] + secret[place + 2 :] for place in range(len(secret) - 1)
    }
    assert [text for text in swapped - {secret} if not _is_refused(text)] == []


def test_a_secret_that_was_cut_or_continued_is_refused() -> None:
    secret = new_secret("client", tenant_id=_TENANT)
    assert [text for text in (secret[:end] for end in range(len(secret))) if not _is_refused(text)] == []
    assert [text for text in (secret + "A", " " + secret, secret + "\n", secret * 2) if not _is_refused(text)] == []


def test_the_tenant_part_of_another_secret_does_not_fit() -> None:
    ours, theirs = new_secret("client", tenant_id=_TENANT), new_secret("client", tenant_id=_OTHER)
    assert _is_refused(ours.replace(ours.split("_")[2], theirs.split("_")[2]))


@given(st.text())
def test_any_other_text_is_refused_as_malformed_and_in_no_other_way(text: str) -> None:
    assert _is_refused(text)
    assert _is_refused("lh_client_" + text)


def test_a_digest_depends_on_the_secret_and_on_the_pepper() -> None:
    digest = secret_digest("a secret", pepper=b"pepper")
    assert digest.hex() == "a8ae2bf02eb94e89d316e231ea094e2b569d86456b46a95c4066ab3bf055b9a5"
    assert secret_digest("a secret", pepper=b"other") != digest
    assert secret_digest("b secret", pepper=b"pepper") != digest
