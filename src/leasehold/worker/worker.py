"""The worker: claims jobs as it has room for them, calls them, and tells the queue what came of each."""

import asyncio
import math
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import structlog

from leasehold.core.ending import ended
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.failures import kind_of
from leasehold.core.spans import Span, Spans
from leasehold.core.trace import trace_of, tracing
from leasehold.tenancy.jobs.definition import GivenUp, Periodic, backoff_s
from leasehold.tenancy.jobs.link import QueueAway, QueueLink
from leasehold.tenancy.jobs.models import PLATFORM_LANE
from leasehold.tenancy.jobs.queue import ClaimedJob, JobLost
from leasehold.worker.calling import NOT_NOW, Caller, is_of_database
from leasehold.worker.metrics import Metrics

_BEAT_S = 5.0
_SWEEP_S = 10.0
_NOT_NOW_S = 5.0
_MOST_TIMES_PUT_OFF = 10
_MOST_TEXT = 20_000

_log = structlog.get_logger(__name__)


class Worker:
    """Runs up to `places` jobs at once, until it is told to stop."""

    def __init__(
        self,
        link: QueueLink,
        caller: Caller,
        tasks: Sequence[Periodic],
        metrics: Metrics,
        wake: asyncio.Event,
        *,
        places: int,
        poll_s: float,
        grace_s: float,
        spans: Spans | None = None,
    ) -> None:
        self._link = link
        self._caller = caller
        self._tasks = tasks
        self._metrics = metrics
        self._wake = wake
        self._places = places
        self._poll_s = poll_s
        self._grace_s = grace_s
        self._spans = spans
        # A place in four is kept for others than who has the most to do.
        self._most_of_one = max(1, places - max(1, places // 4))
        self._running: dict[asyncio.Task[None], ClaimedJob] = {}
        self._served = PLATFORM_LANE
        self._due: dict[str, datetime] = {}
        self._losses = 0
        self._ends_at = math.inf
        self.seen_at = -math.inf
        """When the queue last answered, in seconds of the monotonic clock."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then let running jobs end, and hand back what takes longer than the grace."""
        watch = asyncio.create_task(self._wake_on(stop))
        keeper = asyncio.create_task(self._keep(), name="worker-keeper")
        keeper.add_done_callback(lambda _: self._wake.set())
        try:
            while not stop.is_set():
                self._wake.clear()
                if keeper.done():
                    await keeper
                if not await self._claim():
                    await self._wake.wait()
        except QueueAway:
            _log.warning("worker_ended_without_queue", jobs=len(self._running))
        finally:
            watch.cancel()
            self._lose_patience()
            await self._end()
            with suppress(QueueAway):
                await ended(keeper)
            with suppress(QueueAway):
                # What was claimed in an answer that was lost has not been tried.
                await self._link.ask(lambda queue: queue.let_go(but=[]))
                await self._link.ask(lambda queue: queue.leave())
            await self._link.close()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop, and takes nothing new."""
        return self._ends_at < math.inf

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._lose_patience()
        self._wake.set()

    def _lose_patience(self) -> None:
        """Let running jobs, and the queue, have the grace from now on, or from when this was first said."""
        self._ends_at = min(self._ends_at, time.monotonic() + self._grace_s)
        self._link.lose_patience(in_s=self._grace_s)

    async def _claim(self) -> bool:
        """Take as many jobs as there is room for, and say whether to look again at once."""
        room = self._places - len(self._running)
        if room == 0:
            return False
        if self._losses != (losses := self._link.losses):
            self._losses = losses  # first, for a job may be left while the queue is asked
            known = [job.id for job in self._running.values()]
            await self._link.ask(lambda queue: queue.let_go(but=known))
        behind = self._served
        claimed = await self._link.ask(
            lambda queue: queue.claim(behind=behind, wanted=room, most_of_one=self._most_of_one)
        )
        self.seen_at = time.monotonic()
        for job in claimed:
            task = asyncio.create_task(self._run(job), name=f"job {job.name}")
            self._running[task] = job
            task.add_done_callback(self._ended)
            self._metrics.started(job)
        if claimed:
            self._served = max((job.lane for job in claimed), key=lambda lane: (lane <= behind, lane))
        return len(claimed) == room

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("job_left", error=kind_of(error), exc_info=error)
            # The queue has not heard of its end: it is let go with the next claim.
            self._losses = -1

    async def _run(self, job: ClaimedJob) -> None:
        """Call a job and tell the queue; whatever happens to it, the worker lives on."""
        started, trace = time.monotonic(), trace_of(job.traceparent, about={"tenant_id": job.tenant_id})
        span = self._spans.begin(f"job {job.name}", trace, is_job=True) if self._spans else None
        outcome = "left"
        try:
            with tracing(span.trace if span else trace):
                with suppress(QueueAway):
                    outcome = await self._call(job)
                self._say(job, outcome, time.monotonic() - started)
        finally:
            if span is not None:
                _end(span, job, outcome)

    async def _call(self, job: ClaimedJob) -> str:
        try:
            if not await self._caller.call(job):
                await self._link.ask(lambda queue: queue.finish(job))
        except JobLost:
            return "lost"
        except NOT_NOW:
            await self._link.ask(lambda queue: queue.hand_back(job, in_s=_NOT_NOW_S))
            return "put_off"
        except QueueAway:
            raise
        except DatabaseUnavailable as error:
            return await self._put_off(job, error)
        except asyncio.CancelledError as error:
            if not _was_cancelled():  # by the job itself, which would do the same again at once
                return await self._failed(job, error)
            await self._link.ask(lambda queue: queue.hand_back(job))
            return "handed_back"
        except (Exception, SystemExit, BaseExceptionGroup) as error:  # noqa: BLE001  # whatever a job may raise
            return await self._failed(job, error)
        return "succeeded"

    async def _put_off(self, job: ClaimedJob, error: DatabaseUnavailable) -> str:
        """Try a job again without counting it, since a database that starts anew is no fault of a job.

        But not for ever: there are jobs that bring a database down.
        """
        if job.times_put_off >= _MOST_TIMES_PUT_OFF or not is_of_database(error):
            return await self._failed(job, error)
        in_s = backoff_s(job.times_put_off + 1)
        await self._link.ask(lambda queue: queue.put_off(job, in_s=in_s))
        return "put_off"

    async def _failed(self, job: ClaimedJob, error: BaseException) -> str:
        text = _storable(_said_by(error)[:_MOST_TEXT])
        trace = _storable("".join(traceback.format_exception(error))[-_MOST_TEXT:])
        again_in_s, is_final = backoff_s(job.attempt), isinstance(error, GivenUp)
        state = await self._link.ask(
            lambda queue: queue.fail(job, error=text, traceback=trace, again_in_s=again_in_s, is_final=is_final)
        )
        _log.warning(
            "job_failed",
            job=job.name,
            id=job.id,
            tenant=job.tenant_id,
            attempt=job.attempt,
            # Its words may hold what is personal; they stand with the job.
            error=type(error).__name__,
        )
        return {"dead": "dead", "delayed": "failed"}.get(state or "", "lost")

    def _say(self, job: ClaimedJob, outcome: str, seconds: float) -> None:
        self._metrics.ended(job, outcome, seconds)
        _log.info(
            "job_ended",
            job=job.name,
            id=job.id,
            tenant=job.tenant_id,
            attempt=job.attempt,
            outcome=outcome,
            ms=round(seconds * 1000, 2),
        )

    async def _end(self) -> None:
        if self._running:
            await asyncio.wait(set(self._running), timeout=max(0, self._ends_at - time.monotonic()))
        left = set(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _keep(self) -> None:
        """Show that the worker lives, make ready what is due, and take care of what others left behind."""
        # Not before the watch: a worker can be told to stop while the database is away. Who is unknown claims nothing.
        await self._link.register()
        self._due = await self._link.ask(lambda queue: queue.know_tasks(self._tasks))
        beaten_at, swept_at = time.monotonic(), 0.0
        while True:
            now = await self._link.ask(lambda queue: queue.promote())
            self.seen_at = time.monotonic()
            await self._schedule(now)
            if time.monotonic() - beaten_at >= _BEAT_S:
                beaten_at = time.monotonic()
                if not await self._link.ask(lambda queue: queue.beat()):
                    await self._start_anew()
            if time.monotonic() - swept_at >= _SWEEP_S:
                swept_at = time.monotonic()
                if taken := await self._link.ask(lambda queue: queue.sweep()):
                    _log.warning("jobs_taken_back", jobs=taken)
                if not await self._link.ask(lambda queue: queue.keep_tasks(self._tasks)):
                    self._due = await self._link.ask(lambda queue: queue.know_tasks(self._tasks))
            self._wake.set()
            await asyncio.sleep(self._poll_s)

    async def _schedule(self, now: datetime) -> None:
        for task in self._tasks:
            due_at, enqueued_for = task.last_due(now), self._due[task.job.name]
            if due_at > enqueued_for or enqueued_for > task.next_but_one(due_at):
                await self._link.ask(lambda queue, task=task, due_at=due_at: queue.schedule(task, due_at))
                self._due[task.job.name] = due_at

    async def _start_anew(self) -> None:
        """Go on as another worker: this one was taken for dead, so what it still runs is others' by now."""
        _log.warning("worker_taken_for_dead", worker=self._link.worker_id)
        for task in set(self._running):
            task.cancel()
        await self._link.register()


def _end(span: Span, job: ClaimedJob, outcome: str) -> None:
    attributes: dict[str, str | int] = {
        "leasehold.job.name": job.name,
        "leasehold.job.id": str(job.id),
        "leasehold.job.attempt": job.attempt,
        "leasehold.job.outcome": outcome,
    }
    if job.tenant_id is not None:
        attributes["leasehold.tenant.id"] = str(job.tenant_id)
    span.end(f"job {job.name}", is_error=outcome in {"dead", "failed", "lost"}, attributes=attributes)


def _was_cancelled() -> bool:
    """Whether somebody else has cancelled the task that asks."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _said_by(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # an error of a job, whose message cannot be made
        return type(error).__name__


def _storable(text: str) -> str:
    """Return a text as PostgreSQL takes it."""
    return text.replace("\0", "").encode(errors="replace").decode()
