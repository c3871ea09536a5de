"""What a pooler does that it should not is found, and one that works as it should is none."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.tenancy.doctor.site import open_plainly
from tests.bouncer import bouncing, needs_pgbouncer
from tests.integration.doctor.conftest import examined
from tests.pooler import keeps_statements

PLANTED_BY_POOLERS = {
    "pooler-in-session-mode",
    "pooler-loses-prepared-statements",
    "url-is-pooler",
    "listen-unheard",
}


@asynccontextmanager
async def _bouncer(settings: Settings, mode: str, *more: str) -> AsyncGenerator[SecretStr]:
    """Run a PgBouncer without prepared statements in front of an installation, and yield the URL of its app there."""
    parts = urlsplit(settings.database_url.get_secret_value())
    ini = (
        f"[databases]\n* = host={parts.hostname} port={parts.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        "listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {users}\n"
        f"pool_mode = {mode}\n"
        + "".join(f"{line}\n" for line in more)
        + ("max_prepared_statements = 0\n" if keeps_statements() else "")
    )
    with bouncing(ini, f'"{parts.username}" "{parts.password}"\n') as port:
        yield SecretStr(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl())


@needs_pgbouncer
async def test_an_old_pooler_in_transaction_mode_is_well_if_the_settings_know_it(healthy: Settings, admin: Any) -> None:
    async with _bouncer(healthy, "transaction") as url:
        settings = healthy.model_copy(update={"database_url": url, "prepared_statements": False})
        assert (await examined(settings)).findings == []


@needs_pgbouncer
async def test_prepared_statements_through_a_pooler_that_loses_them_are_found(healthy: Settings, admin: Any) -> None:
    async with _bouncer(healthy, "transaction") as url:
        report = await examined(healthy.model_copy(update={"database_url": url}))
    assert [finding.code for finding in report.findings] == ["pooler-loses-prepared-statements"]


@needs_pgbouncer
async def test_session_mode_is_found(healthy: Settings, admin: Any) -> None:
    async with _bouncer(healthy, "session") as url:
        settings = healthy.model_copy(update={"database_url": url, "prepared_statements": False})
        report = await examined(settings, "pooler")
    assert [finding.code for finding in report.findings] == ["pooler-in-session-mode"]


@needs_pgbouncer
async def test_a_pooler_where_postgresql_itself_is_needed_is_found(healthy: Settings, admin: Any) -> None:
    async with _bouncer(healthy, "transaction") as url:
        report = await examined(healthy.model_copy(update={"direct_url": url}), "urls", "listening")
    assert [(finding.code, finding.says[:21]) for finding in report.findings] == [
        ("url-is-pooler", "LEASEHOLD_DIRECT_URL "),
        ("listen-unheard", "What was announced th"),
    ]


@needs_pgbouncer
async def test_a_pooler_that_gives_each_transaction_another_server_is_asked_as_well(
    healthy: Settings, admin: Any
) -> None:
    async with _bouncer(healthy, "transaction", "server_round_robin = 1") as url, AsyncExitStack() as stack:
        for _ in range(3):
            client = await open_plainly(url.get_secret_value())
            stack.push_async_callback(client.close)
            await stack.enter_async_context(client.transaction())
        await stack.aclose()
        update = {"database_url": url, "direct_url": None, "prepared_statements": False}
        report = await examined(healthy.model_copy(update=update))
    assert [finding.code for finding in report.findings] == ["direct-url-missing"]
