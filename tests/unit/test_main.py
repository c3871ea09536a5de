"""What a process has opened is closed to the end, whatever happens on the way."""

from inspect import iscoroutinefunction

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.database import Database
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.passwords import Passwords
from leasehold.core.quotas.shared import SharedQuotas
from leasehold.core.vault import InstallationKey
from leasehold.main import build_process, closing, running
from leasehold.process import Process
from leasehold.tenancy.bind import ReaderPool
from leasehold.tenancy.connections import Connections
from leasehold.tenancy.feed import DirectoryFeed
from leasehold.tenancy.owner import Owner

PARTS = (DirectoryFeed, Owner, Connections, SharedQuotas, Passwords, ReaderPool, Database)


@pytest.fixture
def process() -> Process:
    """The parts of a process whose database does not answer."""
    return build_process(
        Settings(
            database_url=SecretStr("postgresql://x@127.0.0.1:1/x"),
            installation_key=SecretStr(InstallationKey.generate()),
            rate_limit_store="postgresql",
        )
    )


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """Notes which parts were closed, in their order, and lets each of them fail at it."""
    noted: list[type] = []

    def fail(part: type) -> None:
        noted.append(part)
        raise ConnectionError(part.__name__)

    def failing(part: type) -> object:
        async def close(_self: object) -> None:
            fail(part)

        return close if iscoroutinefunction(part.close) else lambda _self: fail(part)  # type: ignore[attr-defined]

    for part in PARTS:
        monkeypatch.setattr(part, "close", failing(part))
    return noted


async def test_whatever_one_part_raises_when_it_is_closed_the_others_are_closed_too(
    process: Process, closed: list[type]
) -> None:
    with pytest.raises(ConnectionError, match="Database"):
        async with closing(process):
            pass
    assert tuple(closed) == PARTS


async def test_a_start_that_fails_halfway_closes_what_it_had_opened(process: Process, closed: list[type]) -> None:
    with pytest.raises(ConnectionError) as raised:
        async with running(process):
            pass
    assert tuple(closed) == PARTS
    first: BaseException = raised.value
    while first.__context__ is not None and not isinstance(first, DatabaseUnavailable):
        first = first.__context__
    assert isinstance(first, DatabaseUnavailable)
