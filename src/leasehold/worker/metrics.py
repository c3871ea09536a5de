"""What a worker counts."""

from collections.abc import Collection, Iterable

from leasehold.core.figures import SECONDS, Family, Histogram, Kind, Sample
from leasehold.tenancy.jobs.queue import ClaimedJob

UNKNOWN = "unknown"
"""The name under which the jobs are counted that this release does not have."""
_WAITS_S = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0)


class Metrics:
    """The figures of one worker, by the name of the job. Which tenant it was for is in the log.

    Only known names become series: whoever can ask for jobs in a tenant's transaction can make names up.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._ended: dict[tuple[str, str], int] = {}
        self._seconds: dict[str, Histogram] = {}
        self._waited: dict[str, Histogram] = {}
        self._running = 0

    def started(self, job: ClaimedJob) -> None:
        """Count a job that was claimed."""
        self._running += 1
        self._waited.setdefault(self._name(job), Histogram(_WAITS_S)).observe(max(0.0, job.waited_s))

    def ended(self, job: ClaimedJob, outcome: str, seconds: float) -> None:
        """Count a call that has ended."""
        self._running -= 1
        name = self._name(job)
        self._ended[name, outcome] = self._ended.get((name, outcome), 0) + 1
        self._seconds.setdefault(name, Histogram()).observe(seconds)

    def _name(self, job: ClaimedJob) -> str:
        return job.name if job.name in self._known else UNKNOWN

    def families(self) -> Iterable[Family]:
        """Return all figures."""
        ended = [Sample(labels, [float(count)]) for labels, count in self._ended.items()]
        return [
            Family(
                "leasehold_jobs_ended",
                Kind.COUNTER,
                "Calls of jobs by what came of them",
                ended,
                ("job", "outcome"),
            ),
            _by_job("leasehold_job_seconds", "Seconds that a call took", self._seconds, SECONDS),
            _by_job(
                "leasehold_job_wait_seconds",
                "Seconds from when a job was ready until it was claimed",
                self._waited,
                _WAITS_S,
            ),
            Family.number("leasehold_jobs_running", "Jobs that run now", self._running),
        ]


def _by_job(name: str, told: str, histograms: dict[str, Histogram], bounds: tuple[float, ...]) -> Family:
    samples = [Sample((job,), histogram.values()) for job, histogram in histograms.items()]
    return Family(name, Kind.HISTOGRAM, told, samples, ("job",), bounds)
