"""What is logged of statements: the same for both kinds of session, with the tenant, and without a value."""

import pytest
import structlog
from msgspec import Struct
from sqlalchemy import Float, Text, bindparam, func, select
from structlog.testing import LogCapture

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.core.errors import Problem
from leasehold.core.reads import Read
from leasehold.main import build_process, running
from leasehold.process import Process
from leasehold.tenancy import bind
from leasehold.tenancy.bind import open_tenant_session, tenant_reader
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.registry import Tenant
from leasehold.workspace.items.repository import ItemReads
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.factories import item


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    """Return what is logged of statements from now on, debug events included."""
    capture = LogCapture()
    level = structlog.make_filtering_bound_logger(10)
    # In the place of the logger, which structlog has cached by now.
    monkeypatch.setattr(bind.trace, "_log", structlog.wrap_logger(None, processors=[capture], wrapper_class=level))
    return capture


async def test_statements_of_both_kinds_leave_the_same_trace(
    process: Process, acme: TenantRef, events: LogCapture
) -> None:
    made = await item(process, acme)
    async with open_tenant_session(process.database, acme) as session:
        await ItemService(session=session).add(ItemCreate(title="a secret title"))
    await ItemReads(tenant_reader(process.readers, acme)).find(made.id)
    written, read = events.entries[-2:]
    for entry in (written, read):
        assert sorted(entry) == ["event", "log_level", "ms", "sql", "tenant"]
        assert (entry["event"], entry["tenant"], entry["log_level"]) == ("statement_ran", acme.id, "debug")
        assert entry["sql"].endswith(f"/* {acme.revision} */")
        assert "secret" not in entry["sql"]
    assert written["sql"].startswith("INSERT INTO items")
    assert read["sql"].startswith("SELECT items.id")


async def test_a_statement_of_the_platform_has_no_tenant_in_its_trace(process: Process, events: LogCapture) -> None:
    async with platform_session(process.database) as session:
        await session.get(Tenant, "00000000-0000-0000-0000-000000000000")
    assert events.entries[-1]["tenant"] is None
    assert not events.entries[-1]["sql"].endswith("*/")


async def test_a_statement_that_fails_leaves_a_trace(process: Process, acme: TenantRef, events: LogCapture) -> None:
    with pytest.raises(Problem):
        async with open_tenant_session(process.database, acme) as session:
            await ItemService(session=session).add(ItemCreate(title=""))
    # Then the registry is asked whether the tenant has moved; what the tenant was asked is of interest.
    assert [entry["sql"] for entry in events.entries if entry["tenant"] == acme.id][-1].startswith("INSERT INTO items")


class Slept(Struct):
    """What a read that takes its time returns."""

    slept: str


_SLEEP = select(func.pg_sleep(bindparam("seconds", type_=Float)).cast(Text).label("slept"))


async def test_only_what_is_slow_is_logged_for_operators_by_both_kinds_of_session_and_without_values(
    settings: Settings, acme: TenantRef, events: LogCapture
) -> None:
    slow = build_process(settings.model_copy(update={"slow_statement_ms": 1000}))
    async with running(slow):
        reader = tenant_reader(slow.readers, acme)
        for seconds in (0.0, 1.01):
            await reader.one(Read(_SLEEP, Slept), seconds=seconds)
            async with open_tenant_session(slow.database, acme) as session:
                await session.execute(_SLEEP, {"seconds": seconds})
    told = [entry for entry in events.entries if entry["event"] == "statement_slow"]
    assert [(entry["log_level"], entry["tenant"], entry["ms"] >= 1010) for entry in told] == [
        ("warning", acme.id, True)
    ] * 2
    for entry in told:
        assert entry["sql"].startswith("SELECT CAST(pg_sleep($1")
        assert "1.01" not in entry["sql"]
