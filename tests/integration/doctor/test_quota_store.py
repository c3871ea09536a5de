"""A Valkey that cannot count is found, and one that can is no finding."""

import socket
from collections.abc import Generator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.tenancy.doctor.examination import examine
from tests.integration.doctor.conftest import examined, site_of, the_only
from tests.integration.tenancy.test_quotas import said
from tests.valkey import Valkey, valkey

PLANTED_IN_VALKEY = {
    "quota-store-unusable",
    "quota-store-too-old",
    "quota-store-in-cluster",
    "quota-store-refuses-when-full",
}
_FEW_RIGHTS = ("reset", "on", ">few", "~leasehold:quota:*", "+evalsha", "+eval", "+get", "+set", "+time", "+select")


@pytest.fixture(scope="module")
def server() -> Generator[Valkey]:
    """A Valkey for these tests."""
    with valkey() as running:
        yield running


def counting(settings: Settings, url: str) -> Settings:
    """Return settings with which requests are counted at a URL."""
    return settings.model_copy(update={"rate_limit_store": "valkey", "valkey_url": SecretStr(url)})


async def test_a_valkey_that_counts_is_no_finding(healthy: Settings, admin: Any, server: Valkey) -> None:
    assert (await examined(counting(healthy, server.url), "quota-store")).findings == []


async def test_a_login_that_may_do_no_more_than_it_must_is_enough(healthy: Settings, server: Valkey) -> None:
    await said(server.url, "ACL", "SETUSER", "leasehold", *_FEW_RIGHTS)
    url = f"valkey://leasehold:few@127.0.0.1:{server.port}/0"
    assert (await examined(counting(healthy, url), "quota-store")).findings == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("valkey://:secret-word@127.0.0.1:1/0", "Connect"),
        ("valkey://:secret-word@127.0.0.1:{port}/0", "invalid username-password pair or user is disabled"),
        ("valkeys://:{password}@127.0.0.1:{port}/0", ""),
        ("valkey://:{password}@127.0.0.1:{port}/99", "DB index is out of range"),
        ("valkey://reader:few@127.0.0.1:{port}/0", "permission"),
        ("valkey://:secret-word@127.0.0.1:{postgres}/0", ""),
    ],
    ids=["nobody", "wrong-password", "no-tls", "no-such-database", "may-not", "something-else"],
)
async def test_a_valkey_that_cannot_be_used_is_found(healthy: Settings, server: Valkey, url: str, why: str) -> None:
    await said(server.url, "ACL", "SETUSER", "reader", "reset", "on", ">few", "~*", "+@read", "+select")
    postgres = urlsplit(healthy.database_url.get_secret_value()).port
    url = url.format(port=server.port, password=server.password, postgres=postgres)
    finding = the_only(await examined(counting(healthy, url), "quota-store"))
    assert (finding.code, why in finding.says) == ("quota-store-unusable", True), finding.says
    assert "secret-word" not in finding.says
    assert server.password not in finding.says


async def test_a_valkey_that_never_answers_is_found_in_bounded_time(healthy: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"valkey://127.0.0.1:{silent.getsockname()[1]}/0"
        finding = the_only(await examined(counting(healthy, url), "quota-store"))
    assert (finding.code, "TimeoutError" in finding.says) == ("quota-store-unusable", True), finding.says


async def test_a_server_of_another_version_is_found(healthy: Settings, server: Valkey) -> None:
    async with site_of(counting(healthy, server.url)) as site:
        report = await examine(replace(site, code=replace(site.code, oldest_redis=99)), ["quota-store"])
    finding = the_only(report)
    assert (finding.code, "or Redis 99" in finding.says) == ("quota-store-too-old", True)


async def test_a_node_of_a_cluster_is_found(healthy: Settings) -> None:
    with valkey("--cluster-enabled", "yes") as node:
        finding = the_only(await examined(counting(healthy, node.url), "quota-store"))
    assert finding.code == "quota-store-in-cluster"


async def test_a_valkey_that_will_refuse_when_it_is_full_is_found(healthy: Settings) -> None:
    with valkey("--maxmemory", "64mb", "--maxmemory-policy", "noeviction") as bounded:
        finding = the_only(await examined(counting(healthy, bounded.url), "quota-store"))
        assert finding.code == "quota-store-refuses-when-full"
        await said(bounded.url, "CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
        assert (await examined(counting(healthy, bounded.url), "quota-store")).findings == []
