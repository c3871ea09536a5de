"""The key ring: which key signs and which verify, at any time."""

import base64
import json

import pytest
from jwt import PyJWK

from leasehold.config import Settings
from leasehold.core.signing import MAX_TOKEN_LIFE_S, RETIRED_S, KeyRing, NoSigningKey, SigningKey, key_state

# The key of RFC 8037, appendix A.1 and A.2; its thumbprint stands in A.3.
_RFC_SEED = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
_FIRST, _SECOND = (SigningKey.from_seed(letter * 32, signs_from=at) for letter, at in ((b"a", 1000), (b"b", 5000)))
_RING = KeyRing([_SECOND, _FIRST])


def test_a_key_is_published_as_its_standard_says() -> None:
    assert SigningKey.from_seed(_RFC_SEED, signs_from=0).jwk() == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "use": "sig",
        "alg": "EdDSA",
    }


def test_what_is_published_is_the_public_half_alone() -> None:
    key = SigningKey.from_seed(_RFC_SEED, signs_from=0)
    assert "d" not in key.jwk()
    assert base64.urlsafe_b64encode(_RFC_SEED).decode().rstrip("=") not in json.dumps(key.jwk())
    assert PyJWK(key.jwk()).key == key.public


@pytest.mark.parametrize(
    ("now", "signing", "accepted"),
    [
        (0, _FIRST, {"first", "second"}),
        (1000, _FIRST, {"first", "second"}),
        (4999.9, _FIRST, {"first", "second"}),
        (5000, _SECOND, {"first", "second"}),
        (5960, _SECOND, {"first", "second"}),
        (5960.1, _SECOND, {"second"}),
        (1e12, _SECOND, {"second"}),
    ],
)
def test_exactly_one_key_signs_and_a_retired_one_verifies_until_its_tokens_have_expired(
    now: float, signing: SigningKey, accepted: set[str]
) -> None:
    assert _RING.signing(now) is signing
    found = {name for name, key in (("first", _FIRST), ("second", _SECOND)) if _RING.verifying(key.kid, now)}
    assert found == accepted
    assert {key.kid for key in _RING.published(now)} == {
        key.kid for name, key in (("first", _FIRST), ("second", _SECOND)) if name in accepted
    }


def test_keys_are_published_in_the_order_in_which_they_sign() -> None:
    assert _RING.published(2000) == [_FIRST, _SECOND]


@pytest.mark.parametrize("kid", [None, "", "another", 7, [_FIRST.kid], {"kid": _FIRST.kid}, _FIRST.kid.encode()])
def test_an_id_that_is_none_of_the_ring_finds_no_key(kid: object) -> None:
    assert _RING.verifying(kid, 2000) is None


def test_an_empty_ring_signs_and_verifies_nothing() -> None:
    with pytest.raises(NoSigningKey):
        KeyRing().signing(0)
    assert KeyRing().verifying(_FIRST.kid, 0) is None
    assert KeyRing().published(0) == []


@pytest.mark.parametrize(
    ("now", "state"),
    [(999, "published"), (1000, "signing"), (4999, "signing"), (5000, "retired"), (5960, "retired"), (5961, "gone")],
)
def test_the_state_of_a_key_follows_from_its_times(now: float, state: str) -> None:
    assert key_state(signs_from=1000, next_signs_from=5000, now=now) == state


def test_the_last_key_signs_for_ever() -> None:
    assert key_state(signs_from=1000, next_signs_from=None, now=1e12) == "signing"


def test_no_setting_lets_a_token_outlive_its_key() -> None:
    limits = Settings.model_fields["access_token_seconds"].metadata
    assert [limit.le for limit in limits if hasattr(limit, "le")] == [MAX_TOKEN_LIFE_S]
    assert RETIRED_S > MAX_TOKEN_LIFE_S
