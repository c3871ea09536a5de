"""A database that stops answering is a finding, in bounded time, and no fault of the doctor."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.tenancy.doctor import site
from leasehold.tenancy.doctor.examination import CHECKS
from tests.integration.doctor.conftest import examined, the_only


@contextlib.asynccontextmanager
async def hanging(url: str, behind: bytes) -> AsyncGenerator[str]:
    """Yield the URL of a database that stands still as soon as it is told something with this text."""
    parts, tasks = urlsplit(url), set[asyncio.Task[None]]()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while said := await reader.read(65536):
                if behind in said:
                    await asyncio.Event().wait()
                writer.write(said)
                await writer.drain()
        finally:
            writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(parts.hostname, parts.port)
        tasks.update((asyncio.create_task(pass_on(reader, up_writer)), asyncio.create_task(pass_on(up_reader, writer))))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("behind", "code", "checked"),
    [
        (b"alembic_version", "url-unreachable", ["urls"]),
        (b"session_user", "check-failed", ["urls"]),
        (b"pg_notify", "check-failed", ["urls", "listening"]),
        (b"max_locks_per_transaction", "check-failed", ["urls", "listening", "pooler", "server", "capacity"]),
    ],
)
async def test_a_database_that_stops_answering_is_found_and_asked_no_more(
    healthy: Settings, behind: bytes, code: str, checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "ANSWER_TIMEOUT_S", 2.0)
    async with asyncio.timeout(60), hanging(healthy.database_url.get_secret_value(), behind) as url:
        update = {"database_url": SecretStr(url), "direct_url": SecretStr(url)}
        report = await examined(healthy.model_copy(update=update))
    assert (the_only(report).code, report.checked) == (code, checked)
    assert len(report.left_out) == len(CHECKS) - len(checked)
    assert "no answer within 2 seconds" in the_only(report).says
