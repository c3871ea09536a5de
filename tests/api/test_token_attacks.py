"""Forged tokens, as somebody makes them who has all that is public and, in part, a key of the installation."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leasehold.core.ids import new_id
from leasehold.core.signing import SigningKey
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import api_client, provisioned

Signer = Callable[[SigningKey, bytes], bytes]


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _by_the_key(key: SigningKey, text: bytes) -> bytes:
    return key.private.sign(text)


def _by_another(_key: SigningKey, text: bytes) -> bytes:
    return Ed25519PrivateKey.generate().sign(text)


def _by_nobody(_key: SigningKey, _text: bytes) -> bytes:
    return b""


def _by_hmac_with(*, encoding: Encoding, form: PublicFormat) -> Signer:
    """Sign with the public key as the secret of an HMAC, in one of the forms in which it is seen."""
    return lambda key, text: hmac.digest(key.public.public_bytes(encoding, form), text, hashlib.sha256)


def _by_hmac_with_the_jwk(key: SigningKey, text: bytes) -> bytes:
    return hmac.digest(json.dumps(key.jwk()).encode(), text, hashlib.sha256)


def _by_hmac_with_nothing(_key: SigningKey, text: bytes) -> bytes:
    return hmac.digest(b"", text, hashlib.sha256)


_OWN = SigningKey.from_seed(b"m" * 32, signs_from=0)


def _by_the_attackers_own(_key: SigningKey, text: bytes) -> bytes:
    return _OWN.private.sign(text)


@dataclass(frozen=True)
class Forgery:
    """What is changed of a good token; None takes a member away."""

    name: str
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    sign: Signer = _by_the_key


_RAW = _by_hmac_with(encoding=Encoding.Raw, form=PublicFormat.Raw)
_PEM = _by_hmac_with(encoding=Encoding.PEM, form=PublicFormat.SubjectPublicKeyInfo)
_DER = _by_hmac_with(encoding=Encoding.DER, form=PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class _In:
    """A time so many seconds from when the token is made; the tests are collected long before they run."""

    seconds: int

    def __repr__(self) -> str:
        return f"{self.seconds} s from now"


_NOBODY = "0199a1f0-0000-7000-8000-000000000001"
_FORGERIES = [
    *(Forgery(f"alg {alg!r}", {"alg": alg}, sign=_by_nobody) for alg in ("none", "None", "NONE", "nOnE", "", None, 0)),
    *(Forgery(f"alg {alg!r}, but signed", {"alg": alg}) for alg in ("none", "", None, "eddsa", "Ed25519", ["EdDSA"])),
    Forgery("HS256 with the raw public key", {"alg": "HS256"}, sign=_RAW),
    Forgery("HS256 with the public key as PEM", {"alg": "HS256"}, sign=_PEM),
    Forgery("HS256 with the public key as DER", {"alg": "HS256"}, sign=_DER),
    Forgery("HS256 with the JWK", {"alg": "HS256"}, sign=_by_hmac_with_the_jwk),
    Forgery("HS256 with an empty secret", {"alg": "HS256"}, sign=_by_hmac_with_nothing),
    Forgery("HS256 that calls itself EdDSA", sign=_RAW),
    *(Forgery(alg, {"alg": alg}) for alg in ("HS384", "HS512", "RS256", "PS256", "ES256", "ES256K", "ES512")),
    Forgery("no signature", sign=_by_nobody),
    Forgery("a signature of zeros", sign=lambda _key, _text: bytes(64)),
    Forgery("the signature of another text", sign=lambda key, text: key.private.sign(text + b" ")),
    Forgery("another key under our id", sign=_by_another),
    *(
        Forgery(f"kid {kid!r}", {"kid": kid})
        for kid in (
            None,
            "",
            "another",
            0,
            ["x"],
            {"x": "y"},
            "../../../../dev/null",
            "/proc/self/environ",
            "file:///dev/null",
            "https://elsewhere.example/key",
            "' UNION SELECT 'x",
            "x'; DROP TABLE platform.signing_keys; --",
            "x\x00y",
            "$(id)",
        )
    ),
    Forgery("an own key by its id", {"kid": _OWN.kid}, sign=_by_the_attackers_own),
    Forgery("an own key in the header", {"jwk": _OWN.jwk()}, sign=_by_the_attackers_own),
    Forgery("an own key in the header, by its id", {"jwk": _OWN.jwk(), "kid": _OWN.kid}, sign=_by_the_attackers_own),
    Forgery("an own address of keys", {"jku": "https://elsewhere.example/jwks.json"}, sign=_by_the_attackers_own),
    Forgery("an own certificate", {"x5c": ["MIIB"]}, sign=_by_the_attackers_own),
    Forgery("an address of certificates", {"x5u": "https://elsewhere.example"}),
    Forgery("an extension that must be understood", {"crit": ["exp"], "exp": 2**31}),
    Forgery("a payload that is not encoded", {"b64": False, "crit": ["b64"]}),
    Forgery("a payload that is packed", {"zip": "DEF"}),
    *(Forgery(f"typ {typ!r}", {"typ": typ}) for typ in ("JWT", "jwt", "AT+JWT", "application/at+jwt", "", None, ["x"])),
    *(
        Forgery(f"aud {aud!r}", claims={"aud": aud})
        for aud in ("other", "", None, [], ["other"], {"leasehold:tenant-api": 1}, "leasehold:tenant-api ", 7)
    ),
    *(
        Forgery(f"iss {iss!r}", claims={"iss": iss})
        for iss in (
            "https://elsewhere.example",
            "https://leasehold.test/",
            "http://leasehold.test",
            "https://LEASEHOLD.test",
            "",
            None,
            ["https://leasehold.test"],
            7,
        )
    ),
    *(Forgery(f"iat {ahead} s ahead", claims={"iat": _In(ahead), "exp": _In(ahead + 60)}) for ahead in (600, 86400)),
    *(Forgery(f"iat {iat!r}", claims={"iat": iat}) for iat in ("soon", None, [_In(0)], {"x": 1})),
    *(Forgery(f"exp {exp!r}", claims={"exp": exp}) for exp in (0, _In(-60), -1, "soon", None, [_In(60)])),
    Forgery("a life of ten years", claims={"exp": _In(10 * 365 * 86400)}),
    Forgery("not valid yet", claims={"nbf": _In(86400)}),
    *(
        Forgery(f"no {claim}", claims={claim: None})
        for claim in ("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "tenant", "kind")
    ),
    *(Forgery(f"tenant {tenant!r}", claims={"tenant": tenant}) for tenant in ("", "acme", 7, [], "00000000")),
    *(Forgery(f"sub {sub!r}", claims={"sub": sub}) for sub in ("", "nobody", 7, [])),
    Forgery("an admin by the platform's audience", claims={"aud": "leasehold:platform-api", "kind": "admin"}),
    Forgery("a client who says that an admin acts", claims={"act": {"sub": _NOBODY}}),
    Forgery("an admin who acts, and no impersonation", claims={"kind": "admin", "act": {"sub": _NOBODY}}),
    *(
        Forgery(
            f"an impersonation with act {act!r}", claims={"kind": "admin", "sub": _NOBODY, "sid": _NOBODY, "act": act}
        )
        for act in (None, {}, {"sub": _NOBODY}, {"sub": "x"}, {"sub": _NOBODY, "act": {}}, _NOBODY, [], 7)
    ),
    *(Forgery(f"kind {kind!r}", claims={"kind": kind}) for kind in ("admin", "", "root", 7, [])),
]


def _at(value: Any, now: int) -> Any:
    if isinstance(value, list):
        return [_at(one, now) for one in value]
    return now + value.seconds if isinstance(value, _In) else value


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


async def _forged(process: Process, tenant: TenantRef, forgery: Forgery) -> str:
    client = await api_client(process, tenant)
    key = process.tokens.ring.signing(time.time())
    now = int(time.time())
    header = {"alg": "EdDSA", "typ": "at+jwt", "kid": key.kid}
    claims = {
        "iss": "https://leasehold.test",
        "aud": "leasehold:tenant-api",
        "sub": str(client.client_id),
        "client_id": str(client.client_id),
        "iat": now,
        "exp": now + 60,
        "jti": str(new_id()),
        "scope": "items:read",
        "tenant": str(tenant.id),
        "kind": "client",
    }
    changed = {name: _at(value, now) for name, value in forgery.claims.items()}
    parts = (_without_none(header | forgery.header), _without_none(claims | changed))
    text = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_encoded(forgery.sign(key, text.encode()))}"


async def test_a_token_of_which_nothing_is_changed_is_accepted(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    """The counterpart: without it the refusals below could have any reason."""
    token = await _forged(process, acme, Forgery("nothing"))
    answer = await http.get("/v1/items", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


@pytest.fixture(scope="module")
async def tenant(process: Process) -> TenantRef:
    return await provisioned(process)


@pytest.mark.parametrize("forgery", _FORGERIES, ids=lambda forgery: forgery.name)
async def test_a_forged_token_is_refused(
    http: httpx.AsyncClient, process: Process, tenant: TenantRef, forgery: Forgery
) -> None:
    token = await _forged(process, tenant, forgery)
    for _ in range(2):  # neither is it remembered
        answer = await http.get("/v1/items", headers={"Authorization": f"Bearer {token}"})
        assert refusal_of(answer) == (401, "invalid-token")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_the_tenant_of_a_token_that_is_not_ours_is_not_looked_for(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    moved = await _forged(process, acme, Forgery("moved", claims={"tenant": str(globex.id)}))
    answer = await http.get("/v1/items", headers={"Authorization": f"Bearer {moved}"})
    assert refusal_of(answer) == (401, "invalid-token")  # the client is none of that tenant


async def test_a_key_of_another_kind_is_refused(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    rsa = generate_private_key(public_exponent=65537, key_size=2048)
    numbers = rsa.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": _encoded(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
    token = await _forged(process, acme, Forgery("RSA", {"alg": "RS256", "jwk": jwk}))
    answer = await http.get("/v1/items", headers={"Authorization": f"Bearer {token}"})
    assert refusal_of(answer) == (401, "invalid-token")
