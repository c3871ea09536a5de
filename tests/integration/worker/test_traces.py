"""A job belongs to the trace of who asked for it, and so does what it asks for, and what is logged about it."""

import io
import json
import logging
from collections.abc import Generator

import pytest
import structlog

from leasehold.core.database import DriverConnection
from leasehold.core.log import configure_logging
from leasehold.core.trace import current_trace, trace_of, tracing
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.tenancy.jobs.enqueue import enqueue
from tests.integration.worker.crew import Title, all_done, ask, at_work

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"

_seen: list[tuple[str, str]] = []

pytestmark = pytest.mark.usefixtures("at_once")


@tenant_job("tests.note_trace")
async def note_trace(arguments: Title) -> None:
    trace = current_trace()
    assert trace is not None
    _seen.append((arguments.title, trace.trace_id))


@tenant_job("tests.pass_trace_on")
async def pass_trace_on(arguments: Title, session: TenantSession) -> None:
    await enqueue(session, note_trace, Title(f"{arguments.title}, passed on"))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Generator[io.TextIOWrapper]:
    """What a worker logs meanwhile, however logging was configured when it first did in this process."""
    before, handlers, level = structlog.get_config(), [*logging.root.handlers], logging.root.level
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    configure_logging(level="info", form="json", stream=stream, is_final=False)
    monkeypatch.setattr("leasehold.worker.worker._log", structlog.get_logger())
    yield stream
    structlog.configure(**before)
    logging.basicConfig(handlers=handlers, level=level, force=True)


async def test_a_job_and_what_it_asks_for_belong_to_the_trace(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection, log: io.TextIOWrapper
) -> None:
    _seen.clear()
    with tracing(trace_of(TRACEPARENT)):
        await ask(process, acme, pass_trace_on, "ours")
    await ask(process, globex, pass_trace_on, "theirs")
    async with at_work(process, pass_trace_on, note_trace):
        await all_done(owner)
    traces = dict(_seen)
    assert traces["ours, passed on"] == TRACE_ID
    assert traces["theirs, passed on"] != TRACE_ID
    log.seek(0)
    ended = [line for line in map(json.loads, log) if line["event"] == "job_ended"]
    assert {(line["tenant"], line["job"]) for line in ended if line["trace_id"] == TRACE_ID} == {
        (str(acme.id), "tests.pass_trace_on"),
        (str(acme.id), "tests.note_trace"),
    }
    assert len(ended) == 4
    assert "request_id" not in ended[0]
