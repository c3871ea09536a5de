"""Whether traces are recorded, and by what."""

import asyncio
import threading
from importlib import import_module

from leasehold.config import Settings
from leasehold.core.spans import Spans

_CLOSED_WITHIN_S = 5.0


class TracesNotInstalled(RuntimeError):
    """LEASEHOLD_TRACES=otlp needs the extra `otel`: install leasehold[otel]."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def open_spans(settings: Settings) -> Spans | None:
    """Return what records traces, None where the settings want none. It begins threads, so not before a fork.

    Raises:
        TracesNotInstalled: the settings want it, and it is not there.
    """
    if settings.traces == "off":
        return None
    demand_traces(settings)
    return import_module("leasehold.observe.otel").exporting()


def demand_traces(settings: Settings) -> None:
    """Pass unless the settings want traces that cannot be recorded.

    Raises:
        TracesNotInstalled: they do.
    """
    if settings.traces == "off":
        return
    try:
        # By name, for without the extra there is nothing to import.
        import_module("leasehold.observe.otel")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "opentelemetry":
            raise TracesNotInstalled from error
        raise


async def close_spans(spans: Spans) -> None:
    """Hand over what was recorded, but wait no longer than some seconds for who is to take it."""
    closing = threading.Thread(target=spans.close, name="closing spans", daemon=True)
    closing.start()
    await asyncio.to_thread(closing.join, _CLOSED_WITHIN_S)
