"""Traces by OpenTelemetry. Only imported where the settings want it, for it comes with the extra `otel`.

Where they are sent, and which of them, the variables say that OpenTelemetry has for it (OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, ...).
"""

import time
from contextvars import Token
from importlib.metadata import version
from uuid import UUID

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from leasehold.core.spans import Attributes
from leasehold.core.trace import Trace


class OpenTelemetrySpan:
    """A request or a job that is under way."""

    __slots__ = ("_span", "_token", "trace")

    def __init__(self, span: Span, before: Trace) -> None:
        self._span = span
        itself = span.get_span_context()
        self.trace = before._replace(
            trace_id=f"{itself.trace_id:032x}", is_sampled=itself.trace_flags.sampled, span_id=f"{itself.span_id:016x}"
        )
        self._token: Token[Context] = context.attach(set_span_in_context(span))

    def end(self, name: str, *, is_error: bool, attributes: Attributes) -> None:
        """Say what it was, when it is over."""
        context.detach(self._token)
        if self._span.is_recording():
            self._span.update_name(name)
            self._span.set_attributes(attributes)
            if is_error:
                self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class OpenTelemetrySpans:
    """Records what is done, where it belongs to a trace."""

    def __init__(self, processor: SpanProcessor, *, sampler: Sampler | None = None) -> None:
        """Take what spans are handed to; without a sampler OpenTelemetry's variables choose one."""
        own = Resource({"service.name": "leasehold", "service.version": version("leasehold")})
        resource = own.merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("leasehold", version("leasehold"))

    def begin(self, name: str, trace: Trace, *, is_job: bool = False) -> OpenTelemetrySpan:
        """Begin a request, or a job, of the trace that is named there, or of a new one."""
        kind = SpanKind.CONSUMER if is_job else SpanKind.SERVER
        return OpenTelemetrySpan(self._tracer.start_span(name, _asked_by(trace), kind), trace)

    def statement(self, sql: str, tenant_id: UUID | None, *, seconds: float) -> None:
        """Record a statement that has just ended; its values are not known here."""
        if not get_current_span().is_recording():
            return
        ended_at = time.time_ns()
        attributes = {"db.system.name": "postgresql", "db.query.text": sql}
        if tenant_id is not None:
            attributes["leasehold.tenant.id"] = str(tenant_id)
        started_at = ended_at - int(seconds * 1e9)
        operation = sql.lstrip().partition(" ")[0].upper()
        span = self._tracer.start_span(operation, None, SpanKind.CLIENT, attributes, start_time=started_at)
        span.end(ended_at)

    def close(self) -> None:
        """Hand over what was recorded."""
        self._provider.shutdown()


def exporting() -> OpenTelemetrySpans:
    """Return what sends spans in batches by OTLP, from a thread of its own."""
    return OpenTelemetrySpans(BatchSpanProcessor(OTLPSpanExporter()))


def _asked_by(asked: Trace) -> Context:
    """Return the context of who asked, an empty one for nobody: what else runs in this task has no part in it."""
    if asked.parent_id is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if asked.is_sampled else TraceFlags.DEFAULT)
    parent = SpanContext(int(asked.trace_id, 16), int(asked.parent_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())
