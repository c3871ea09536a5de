"""Says how a worker is, to probes and to Prometheus, on a port of its own."""

import time

from litestar import Litestar, Response, get

from leasehold.worker.metrics import Metrics
from leasehold.worker.worker import Worker

_SILENT_S = 15.0


def health_app(worker: Worker, metrics: Metrics) -> Litestar:
    """Return the application: `/health/live`, `/health/ready` and `/metrics`."""

    @get("/health/live", sync_to_thread=False)
    def live() -> dict[str, str]:
        """Answer without asking anything else."""
        return {"status": "live"}

    @get("/health/ready", sync_to_thread=False)
    def ready() -> Response[dict[str, str]]:
        """Answer 503 when the queue has not answered for a while, or the worker is about to stop."""
        status = "ready"
        if worker.is_stopping:
            status = "the worker stops"
        elif time.monotonic() - worker.seen_at >= _SILENT_S:
            status = "the queue does not answer"
        return Response({"status": status}, status_code=200 if status == "ready" else 503)

    @get("/metrics", media_type="text/plain; version=0.0.4", sync_to_thread=False)
    def figures() -> bytes:
        """Return what the worker has counted."""
        return metrics.text()

    return Litestar([live, ready, figures], openapi_config=None, logging_config=None)
