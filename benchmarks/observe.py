"""`python -m benchmarks observe`: what it costs each request to be seen, in a loop, without a network and a database.

A whole request takes some hundred microseconds, and a busy machine changes that by more than what is looked for here.
So the layer around the app is called by itself, with an app that only answers, and the smallest of several rounds
counts. It is processor time, so that others who use the machine count less.
"""

import argparse
import asyncio
import io
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from litestar import Litestar
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from benchmarks.machine import processor
from leasehold.core.figures import RequestFigures
from leasehold.core.log import configure_logging
from leasehold.core.principal import Principal
from leasehold.core.spans import Spans
from leasehold.core.usage import UsageMeter
from leasehold.http.headers import AnswerHeaders
from leasehold.http.request_log import RequestLog
from leasehold.observe.otel import OpenTelemetrySpans
from leasehold.tenancy.bind import Statements
from leasehold.tenancy.context import TenantRef, TenantState

_TENANT = TenantRef(UUID(int=1), "acme", "t_1", "lh_1", TenantState.ACTIVE, "0001")
_PRINCIPAL = Principal("client", UUID(int=2), frozenset(), _TENANT.id, 2**31)
_HEADERS = [(b"host", b"acme.localhost"), (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
_SQL = "SELECT items.id, items.title FROM items WHERE items.id = $1"
_Once = Callable[[], Awaitable[None]]


def main(arguments: list[str]) -> None:
    """Measure, print the table, and write it where a folder is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks observe", description=__doc__)
    parser.add_argument("--times", type=int, default=20_000, help="in one round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="(%(default)s)")
    parser.add_argument("--short", action="store_true", help="only show that it works")
    parser.add_argument("--output", type=Path, help="a folder for observe.md")
    given = parser.parse_args(arguments)
    times, rounds = (200, 2) if given.short else (given.times, given.rounds)
    configure_logging(level="info", form="json", stream=io.TextIOWrapper(io.BytesIO()))
    table = asyncio.run(_table(times, rounds))
    print(table)
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "observe.md").write_text(table + "\n")


async def _table(times: int, rounds: int) -> str:
    ways: dict[str, _Once] = {
        "nothing but the app": lambda: _app(_scope(), None, _send),
        "id, trace, headers, log line and usage, as always": _request(),
        "and metrics": _request(figures=RequestFigures()),
        "and a span that is not sampled": _request(spans=_spans(ALWAYS_OFF), statements=0),
        "and a span that is": _request(spans=_spans(ALWAYS_ON), statements=0),
        "and a span with one of a statement": _request(spans=_spans(ALWAYS_ON), statements=1),
        "a statement, of which nobody wants to know": _statement(Statements()),
        "a statement, where slow ones are logged": _statement(Statements(slow_ms=500)),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        # In turn, so that all meet the same machine.
        for name, once in ways.items():
            started = time.thread_time()
            for _ in range(times):
                await once()
            best[name] = min(best[name], (time.thread_time() - started) / times * 1e6)
    return "\n".join(
        [
            f"{processor()}; Python {sys.version.split()[0]}; the smallest of {rounds} rounds of {times:,}",
            "",
            "| | microseconds of processor time |",
            "|---|---|",
            *(f"| {name} | {us:.2f} |" for name, us in best.items()),
        ]
    )


def _request(*, figures: RequestFigures | None = None, spans: Spans | None = None, statements: int = 0) -> _Once:
    said = Statements(spans=spans)

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(statements):
            said.ended(_SQL, _TENANT, started=time.perf_counter())
        await _app(scope, receive, send)

    headers = AnswerHeaders(docs_script="", hsts_seconds=0)
    usage = UsageMeter()
    log = RequestLog(cast("Litestar", None), usage, headers=headers, serve=serve, figures=figures, spans=spans)
    return lambda: log(_scope(), cast("Any", None), _send)


def _statement(statements: Statements) -> _Once:
    async def once() -> None:
        statements.ended(_SQL, _TENANT, started=time.perf_counter())

    return once


def _spans(sampler: Sampler) -> Spans:
    """Return what records traces and sends them nowhere; what a batch costs, its own thread has to bear."""
    return OpenTelemetrySpans(BatchSpanProcessor(_Nowhere()), sampler=sampler)


class _Nowhere(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _scope() -> Any:
    return {
        "type": "http",
        "method": "GET",
        "path": "/v1/items/1",
        "query_string": b"",
        "headers": _HEADERS,
        "state": {},
    }


async def _app(scope: Any, _receive: Any, send: Any) -> None:
    scope["path_template"] = "/v1/items/{item_id}"
    scope["state"]["tenant"], scope["state"]["principal"] = _TENANT, _PRINCIPAL
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


async def _send(_message: Any) -> None:
    pass
