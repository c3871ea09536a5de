"""What only Valkey does with quotas, and how it fails."""

import asyncio
import re
import secrets
import signal
import ssl
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from leasehold.core.clock import utc_now
from leasehold.core.quotas.limits import SECOND, Limits, Policy, Window
from leasehold.core.quotas.memory import ProcessQuotas
from leasehold.core.quotas.opening import open_valkey
from leasehold.core.quotas.shared import Asked, SharedQuotas, StoreAway
from tests.integration.tenancy.test_quotas import ONE_AN_HOUR, opened, said
from tests.valkey import Valkey, valkey


@pytest.fixture(scope="module")
def server() -> Generator[Valkey]:
    """A Valkey for these tests."""
    with valkey() as running:
        yield running


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return secrets.token_hex(8)


async def test_a_key_says_nothing_of_whose_it_is_and_is_gone_when_its_quota_is_whole(server: Valkey, key: str) -> None:
    store = opened("valkey", server.url)
    before = set(await said(server.url, "KEYS", "*"))
    limits = Limits(Policy("client", (Window(10, 6000), Window(2, 36_000))))
    assert (await store.take([Asked(limits, ((key, "192.0.2.7"),))]))[0] == (True, [600 * SECOND, 18_000 * SECOND])
    made = sorted(set(await said(server.url, "KEYS", "*")) - before)
    assert [re.fullmatch(rb"leasehold:quota:[0-9a-f]{32}", one) is not None for one in made] == [True, True]
    left_ms = sorted([await said(server.url, "PTTL", one.decode()) for one in made])
    assert 500_000 < left_ms[0] <= 600_000
    assert 17_900_000 < left_ms[1] <= 18_000_000
    await store.close()


async def test_two_installations_on_one_valkey_share_no_quota(server: Valkey, key: str) -> None:
    stores = [open_valkey(server.url, installation=f"https://{one}", timeout_s=5) for one in ("a.test", "b.test")]
    one = [Asked(ONE_AN_HOUR, (key,))]
    assert [(await store.take(one))[0][0] for store in (*stores, *stores)] == [True, True, False, False]
    for store in stores:
        await store.close()


async def test_a_valkey_that_has_forgotten_its_scripts_is_told_again(server: Valkey, key: str) -> None:
    store, one = opened("valkey", server.url), [Asked(ONE_AN_HOUR, (key,))]
    assert (await store.take(one))[0][0]
    await said(server.url, "SCRIPT", "FLUSH")
    assert [(await store.take(one))[0][0] for _ in range(2)] == [False, False]
    await store.close()


async def test_the_longest_window_and_the_most_requests_are_counted_to_the_nanosecond(server: Valkey, key: str) -> None:
    """A million requests per second for thirty days lie 2.6e15 nanoseconds ahead; Lua's numbers are exact to 9e15.

    They are asked at once: what lies a microsecond ahead is forgotten a millisecond later.
    """
    longest = Window(2, 30 * 86_400)
    fastest = Window(30 * 86_400 * 1_000_000, 30 * 86_400)
    limits = Limits(Policy("client", (longest, fastest)))
    store, alone, now = opened("valkey", server.url), ProcessQuotas(), 1_799_999_999_999_999_999
    expected = [alone.take(limits, (key,), now) for _ in range(3)]
    told = await store.take([Asked(limits, (key,))] * 3, at_ns=now)
    assert told == [(granted, [one - now for one in whole_at]) for granted, whole_at in expected]
    await store.close()


async def test_an_answer_that_comes_too_late_is_nobody_s(key: str) -> None:
    """A process that stands still answers what was asked meanwhile as soon as it goes on: not to who asks then."""
    with valkey() as frozen:
        store = opened("valkey", frozen.url, timeout_s=60)
        assert (await store.take([Asked(ONE_AN_HOUR, (key,))]))[0][0]
        frozen.process.send_signal(signal.SIGSTOP)
        store._timeout_s = 0.3
        with pytest.raises(StoreAway):
            await store.take([Asked(ONE_AN_HOUR, (f"other {key}",))])
        frozen.process.send_signal(signal.SIGCONT)
        store._timeout_s = 60
        several = Limits(Policy("client", (Window(5, 10), Window(7, 100))))
        assert await store.take([Asked(several, (key,))]) == [(True, [2 * SECOND, 100 * SECOND // 7])]
        await store.close()


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ((), "valkey://:wrong@127.0.0.1:{port}/0"),
        ((), "valkey://:{password}@127.0.0.1:{port}/99"),
        (("--maxmemory", "1kb", "--maxmemory-policy", "noeviction"), "{url}"),
        (("--rename-command", "EVAL", "", "--rename-command", "EVALSHA", ""), "{url}"),
    ],
    ids=["wrong-password", "no-such-database", "full", "no-scripts"],
)
async def test_a_valkey_that_refuses_counts_as_away(options: tuple[str, ...], url: str, key: str) -> None:
    with valkey(*options) as refusing:
        url = url.format(port=refusing.port, password=refusing.password, url=refusing.url)
        quotas = SharedQuotas(opened("valkey", url), ProcessQuotas())
        assert [(await quotas.take(ONE_AN_HOUR, (key,)))[0] for _ in range(3)] == [True, False, False]
        await quotas.close()


def certified(host: str, folder: Path) -> ssl.SSLContext:
    """Return what a server called so speaks TLS with, whose certificate in `server.pem` is signed by itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(utc_now())
        .not_valid_after(utc_now() + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.key").write_bytes(secret)
    (folder / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


@pytest.mark.parametrize(("host", "is_asked"), [("localhost", True), ("other.example", False)])
async def test_no_password_is_sent_to_a_server_whose_certificate_is_that_of_another_host(
    host: str, key: str, tmp_path: Path, *, is_asked: bool
) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    async with await asyncio.start_server(listen, "localhost", 0, ssl=certified(host, tmp_path)) as server:
        port = server.sockets[0].getsockname()[1]
        store = opened("valkey", f"valkeys://:s3cret@localhost:{port}?ssl_ca_certs={tmp_path}/server.pem")
        with pytest.raises(StoreAway):
            await store.take([Asked(ONE_AN_HOUR, (key,))])
        await store.close()
    assert [b"s3cret" in one for one in heard] == ([True] if is_asked else [])
