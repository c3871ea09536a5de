"""The secret that follows another."""

import pytest

from leasehold.core.credentials import MalformedSecret, is_secret, new_secret, parse_secret, succeeding_secret
from leasehold.core.ids import new_id

_PEPPER = b"p" * 32


def test_it_is_the_same_each_time_and_of_the_same_kind_and_tenant() -> None:
    tenant_id = new_id()
    secret = new_secret("refresh", tenant_id=tenant_id)
    following = succeeding_secret(secret, pepper=_PEPPER)
    assert following == succeeding_secret(secret, pepper=_PEPPER)
    assert parse_secret(following) == parse_secret(secret)
    assert is_secret(following, "refresh", tenant_id=tenant_id)
    assert len(following) == len(secret)


def test_another_pepper_or_another_secret_gives_another() -> None:
    tenant_id = new_id()
    secrets = [new_secret("refresh", tenant_id=tenant_id) for _ in range(100)]
    made = {succeeding_secret(secret, pepper=pepper) for secret in secrets for pepper in (_PEPPER, b"q" * 32)}
    assert len(made | set(secrets)) == 300


def test_a_chain_never_comes_back() -> None:
    secret = new_secret("refresh", tenant_id=new_id())
    seen = {secret}
    for _ in range(1000):
        secret = succeeding_secret(secret, pepper=_PEPPER)
        seen.add(secret)
    assert len(seen) == 1001


def test_what_is_no_secret_has_no_successor() -> None:
    with pytest.raises(MalformedSecret):
        succeeding_secret("lh_refresh_x", pepper=_PEPPER)


def test_a_secret_of_another_kind_or_tenant_is_not_one_of_this() -> None:
    tenant_id = new_id()
    secret = new_secret("refresh", tenant_id=tenant_id)
    assert not is_secret(secret, "client", tenant_id=tenant_id)
    assert not is_secret(secret, "refresh", tenant_id=new_id())
    assert not is_secret(secret, "refresh", tenant_id=None)
    assert not is_secret(secret[:-1], "refresh", tenant_id=tenant_id)
