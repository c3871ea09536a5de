"""What is logged of statements: the same for both kinds of session, with the tenant, and without a value."""

import pytest
import structlog
from structlog.testing import LogCapture

from leasehold.core.database import platform_session
from leasehold.core.errors import Problem
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
