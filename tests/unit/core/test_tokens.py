"""Access tokens."""

import base64
import hashlib
import hmac
import json
import time
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leasehold.core import tokens as module
from leasehold.core.errors import InvalidToken
from leasehold.core.principal import Principal
from leasehold.core.signing import KeyRing, SigningKey
from leasehold.core.tokens import AccessTokens

_ISSUER = "https://leasehold.test"
_SUBJECT = UUID("0199a1f0-0000-7000-8000-000000000001")
_TENANT = UUID("0199a1f0-0000-7000-8000-000000000002")
# The key of RFC 8037, appendix A.1; its thumbprint stands in A.3.
_SEED = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
_KID = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
_RING = KeyRing([SigningKey.from_seed(_SEED, signs_from=0)])
_CLAIMS = ("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "tenant", "kind")


@pytest.fixture
def tokens() -> AccessTokens:
    return AccessTokens(_RING, issuer=_ISSUER, lifetime_s=900)


def _issued(tokens: AccessTokens, *scopes: str) -> str:
    return tokens.issue(kind="client", subject=_SUBJECT, tenant_id=_TENANT, scopes=frozenset(scopes))


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": _ISSUER,
        "aud": "leasehold:tenant-api",
        "sub": str(_SUBJECT),
        "client_id": str(_SUBJECT),
        "iat": now,
        "exp": now + 60,
        "jti": "1",
        "scope": "items:read",
        "tenant": str(_TENANT),
        "kind": "user",
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def _signed(claims: dict[str, Any], *, seed: bytes = _SEED, typ: str | None = "at+jwt", kid: str | None = _KID) -> str:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return jwt.encode(claims, private, algorithm="EdDSA", headers={"typ": typ, "kid": kid})


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unsigned(algorithm: str) -> str:
    header = json.dumps({"alg": algorithm, "typ": "at+jwt", "kid": _KID}).encode()
    return f"{_encoded(header)}.{_encoded(json.dumps(_claims()).encode())}"


def test_a_token_speaks_for_whom_it_was_issued_to(tokens: AccessTokens) -> None:
    before = int(time.time())
    principal = tokens.verify(_issued(tokens, "items:read", "items:write"))
    assert principal.kind == "client"
    assert principal.subject == _SUBJECT
    assert principal.tenant_id == _TENANT
    assert principal.scopes == {"items:read", "items:write"}
    assert before + 900 <= principal.expires_at <= int(time.time()) + 900


def test_a_token_without_scopes_holds_none(tokens: AccessTokens) -> None:
    assert tokens.verify(_issued(tokens)).scopes == frozenset()


def test_the_forging_of_these_tests_makes_a_token_that_is_valid(tokens: AccessTokens) -> None:
    assert tokens.verify(_signed(_claims())).kind == "user"


def test_the_header_says_type_algorithm_and_the_thumbprint_of_the_key(tokens: AccessTokens) -> None:
    assert jwt.get_unverified_header(_issued(tokens)) == {"alg": "EdDSA", "typ": "at+jwt", "kid": _KID}


def test_no_two_tokens_are_equal(tokens: AccessTokens) -> None:
    assert len({_issued(tokens) for _ in range(10)}) == 10


def test_another_process_with_the_same_key_verifies(tokens: AccessTokens) -> None:
    other = AccessTokens(_RING, issuer=_ISSUER, lifetime_s=60)
    assert other.verify(_issued(tokens)).subject == _SUBJECT


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_000_000_000},
        {"exp": "soon"},
        {"iat": 4_000_000_000, "exp": 4_000_000_060},
        {"nbf": 4_000_000_000},
        {"iss": "https://elsewhere.test"},
        {"aud": "another-api"},
        {"aud": ["another-api"]},
        {"aud": []},
        {"kind": "admin"},
        {"kind": ["user"]},
        {"kind": ""},
        {"sub": "nobody"},
        {"sub": ""},
        {"tenant": "acme"},
        {"tenant": ""},
        {"tenant": 7},
    ],
    ids=str,
)
def test_a_claim_that_says_something_else_is_refused(tokens: AccessTokens, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(_signed(_claims(**changes)))


@pytest.mark.parametrize("claim", _CLAIMS)
def test_a_claim_that_is_missing_is_refused(tokens: AccessTokens, claim: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(_signed(_claims(**{claim: None})))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at", "", None])
def test_another_type_of_token_is_refused(tokens: AccessTokens, typ: str | None) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(_signed(_claims(), typ=typ))


@pytest.mark.parametrize("kid", ["another", "", _KID.lower()])
def test_another_key_id_is_refused(tokens: AccessTokens, kid: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(_signed(_claims(), kid=kid))


def test_the_signature_of_another_key_is_refused(tokens: AccessTokens) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(_signed(_claims(), seed=b"x" * 32))


def test_a_token_of_another_installation_is_refused(tokens: AccessTokens) -> None:
    foreign = KeyRing([SigningKey.from_seed(b"x" * 32, signs_from=0)])
    with pytest.raises(InvalidToken):
        tokens.verify(_issued(AccessTokens(foreign, issuer=_ISSUER, lifetime_s=900)))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_a_token_that_is_not_signed_is_refused(tokens: AccessTokens, algorithm: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(_unsigned(algorithm) + ".")


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
@pytest.mark.parametrize("form", ["raw", "pem"])
def test_a_token_that_is_signed_with_the_public_key_as_a_secret_is_refused(
    tokens: AccessTokens, algorithm: str, form: str
) -> None:
    public = Ed25519PrivateKey.from_private_bytes(_SEED).public_key()
    secret = {
        "raw": public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    }[form]
    body = _unsigned(algorithm)
    with pytest.raises(InvalidToken):
        tokens.verify(f"{body}.{_encoded(hmac.digest(secret, body.encode(), hashlib.sha256))}")


def test_a_change_of_any_letter_but_the_last_is_refused(tokens: AccessTokens) -> None:
    # The last letter carries four bits that stand for nothing.
    token = _issued(tokens, "items:read")
    for place in range(len(token) - 1):
        letter = "A" if token[place] != "A" else "B"
        with pytest.raises(InvalidToken):
            tokens.verify(token[:place] + letter + token[place + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "garbage",
        "Bearer x",
        "é.é.é",
        "\0",
        "\ud800",
        "e30.e30.e30",
        _encoded(b"[]") + ".e30.e30",
        _encoded(b'"x"') + ".e30.e30",
        _encoded(b"\xff") + ".e30.e30",
        _encoded(b"[" * 2900) + ".e30.e30",
        _encoded(b'{"kid": [1], "typ": "at+jwt"}') + ".e30.e30",
    ],
    ids=range(16),
)
def test_garbage_is_refused_as_an_invalid_token_and_in_no_other_way(tokens: AccessTokens, text: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(text)


def test_a_token_is_refused_for_its_length_before_it_is_read(tokens: AccessTokens) -> None:
    fits = _signed(_claims(padding="x" * 2000))
    assert tokens.verify(fits).subject == _SUBJECT
    too_long = _signed(_claims(padding="x" * 3000))
    assert len(too_long) > 4096
    with pytest.raises(InvalidToken):
        tokens.verify(too_long)


def _at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the tokens believe that it is later; PyJWT asks the machine, and is not asked for what is remembered."""
    now = time.time() + seconds
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now))


def test_a_token_that_is_remembered_is_not_verified_again(
    tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _issued(tokens)
    first = tokens.verify(token)
    monkeypatch.setattr(tokens, "_decode", lambda _: pytest.fail("verified again"))
    assert tokens.verify(token) is first


def test_a_token_that_is_remembered_expires_all_the_same(tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    token = _issued(tokens)
    assert isinstance(tokens.verify(token), Principal)
    _at(monkeypatch, 840)
    assert isinstance(tokens.verify(token), Principal)
    _at(monkeypatch, 901)
    with pytest.raises(InvalidToken):
        tokens.verify(token)
    assert tokens._verified == {}


def test_a_token_that_was_refused_is_not_remembered(tokens: AccessTokens) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(_signed(_claims(kind="admin")))
    assert tokens._verified == {}


def test_the_memory_is_bounded_and_the_oldest_go_first(tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    issued = [_issued(tokens) for _ in range(5)]
    for token in issued:
        tokens.verify(token)
    assert list(tokens._verified) == issued[2:]
    assert tokens.verify(issued[0]).subject == _SUBJECT


@pytest.fixture
def next_key() -> SigningKey:
    """A key that is published, and signs a while from now."""
    return SigningKey.from_seed(b"n" * 32, signs_from=time.time() + 100)


def test_the_next_key_signs_from_its_time_on_and_both_are_verified(
    tokens: AccessTokens, next_key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.use(KeyRing([SigningKey.from_seed(_SEED, signs_from=0), next_key]))
    before = _issued(tokens)
    assert jwt.get_unverified_header(before)["kid"] == _KID
    now = time.time() + 101
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now))
    assert tokens.ring.signing(now) is next_key
    assert tokens.verify(before).subject == _SUBJECT


def test_a_key_that_is_published_verifies_before_it_signs(tokens: AccessTokens, next_key: SigningKey) -> None:
    tokens.use(KeyRing([SigningKey.from_seed(_SEED, signs_from=0), next_key]))
    ahead = AccessTokens(KeyRing([next_key]), issuer=_ISSUER, lifetime_s=900)
    assert tokens.verify(_issued(ahead)).subject == _SUBJECT


def test_remembered_tokens_of_a_key_that_has_gone_are_refused_at_once(
    tokens: AccessTokens, next_key: SigningKey
) -> None:
    token = _issued(tokens)
    assert tokens.verify(token).subject == _SUBJECT
    tokens.use(KeyRing([next_key]))
    with pytest.raises(InvalidToken):
        tokens.verify(token)


def test_remembered_tokens_stay_so_when_a_key_is_added(
    tokens: AccessTokens, next_key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _issued(tokens)
    tokens.verify(token)
    tokens.use(KeyRing([SigningKey.from_seed(_SEED, signs_from=0), next_key]))
    monkeypatch.setattr(tokens, "_decode", lambda _: pytest.fail("verified again"))
    assert tokens.verify(token).subject == _SUBJECT


@pytest.mark.parametrize(("ahead_s", "is_accepted"), [(0, True), (3, True), (30, False), (3600, False)])
def test_a_token_from_the_future_is_refused_beyond_what_clocks_differ(
    tokens: AccessTokens, ahead_s: int, is_accepted: bool
) -> None:
    now = int(time.time())
    token = _signed(_claims(iat=now + ahead_s, exp=now + ahead_s + 60))
    if is_accepted:
        assert tokens.verify(token).subject == _SUBJECT
    else:
        with pytest.raises(InvalidToken):
            tokens.verify(token)


def test_a_token_that_lives_longer_than_any_may_is_refused(tokens: AccessTokens) -> None:
    now = int(time.time())
    assert tokens.verify(_signed(_claims(iat=now, exp=now + 900))).subject == _SUBJECT
    with pytest.raises(InvalidToken):
        tokens.verify(_signed(_claims(iat=now, exp=now + 901)))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}},
        {"jku": "https://elsewhere.example/jwks.json"},
        {"x5u": "https://elsewhere.example/x5u"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"]},
        {"b64": False},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_a_header_that_says_more_than_ours_do_is_refused(tokens: AccessTokens, header: dict[str, Any]) -> None:
    private = Ed25519PrivateKey.from_private_bytes(_SEED)
    body = {"alg": "EdDSA", "typ": "at+jwt", "kid": _KID}
    for told, is_accepted in ((body, True), (body | header, False)):
        text = f"{_encoded(json.dumps(told).encode())}.{_encoded(json.dumps(_claims()).encode())}"
        token = f"{text}.{_encoded(private.sign(text.encode()))}"
        if is_accepted:
            assert tokens.verify(token).subject == _SUBJECT
        else:
            with pytest.raises(InvalidToken):
                tokens.verify(token)
