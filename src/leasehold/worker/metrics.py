"""What a worker counts, in Prometheus' words."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from leasehold.tenancy.jobs.queue import ClaimedJob

_WAITS_S = (0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600)


class Metrics:
    """The figures of one worker, by the name of the job. Which tenant it was for is in the log."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._ended = Counter(
            "leasehold_jobs_ended", "Calls of jobs by what came of them", ("job", "outcome"), registry=self._registry
        )
        self._seconds = Histogram(
            "leasehold_job_seconds", "Seconds that a call took", ("job",), registry=self._registry
        )
        self._waited = Histogram(
            "leasehold_job_wait_seconds",
            "Seconds from when a job was ready until it was claimed",
            ("job",),
            buckets=_WAITS_S,
            registry=self._registry,
        )
        self._running = Gauge("leasehold_jobs_running", "Jobs that run now", registry=self._registry)

    def started(self, job: ClaimedJob) -> None:
        """Count a job that was claimed."""
        self._running.inc()
        self._waited.labels(job.name).observe(max(0.0, job.waited_s))

    def ended(self, job: ClaimedJob, outcome: str, seconds: float) -> None:
        """Count a call that has ended."""
        self._running.dec()
        self._ended.labels(job.name, outcome).inc()
        self._seconds.labels(job.name).observe(seconds)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
