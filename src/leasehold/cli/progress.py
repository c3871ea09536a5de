"""Shows how a run over the fleet goes: a bar on a terminal, a line for each wave elsewhere."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from leasehold.cli.squawk import findings_of
from leasehold.tenancy.fleet.history import RELATIVE
from leasehold.tenancy.fleet.ledger import TenantResult
from leasehold.tenancy.fleet.plan import Plan, Wave
from leasehold.tenancy.fleet.run import Report, RunSummary


class _Rate(ProgressColumn):
    """Tenants per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.0f}/s")


class RunLines:
    """Says what happens in a run, one line for each wave and each failure."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._waits: dict[str, str] = {}
        self._wave_began = time.monotonic()

    def plan(self, plan: Plan) -> None:
        """Say what there is to say against the SQL of a run."""
        for finding in findings_of(plan.renderings.values()):
            self.say(finding)

    def start(self, planned: int) -> None:
        """Say nothing yet: the waves will."""
        self._wave_began = time.monotonic()

    def result(self, result: TenantResult) -> None:
        """Say which tenant has failed, and why."""
        if result.error is not None:
            self.say(f"failed: {result.slug}, from {result.start}: {result.error}")

    def skip(self, slug: str) -> None:
        """Say which tenant was purged before its turn had come."""
        self.say(f"skipped: {slug}, which was purged meanwhile")

    def wave(self, wave: Wave, done: int, failed: int) -> None:
        """Say what a wave came to."""
        seconds, self._wave_began = time.monotonic() - self._wave_began, time.monotonic()
        self.say(f"{wave.name}: {done} done, {failed} failed in {seconds:.1f} s")

    def wait(self, slug: str, whom: str) -> None:
        """Say for whom a tenant waits, once."""
        if self._waits.get(slug) != whom:
            self._waits[slug] = whom
            self.say(f"{slug} waits for {whom}")

    def say(self, line: str) -> None:
        """Print one line as it is."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class _RunBar(RunLines):
    """Shows the same with a bar, in place of a line for each wave."""

    def __init__(self, console: Console, progress: Progress) -> None:
        super().__init__(console)
        self._progress = progress
        self._task = progress.add_task("tenants", total=None, failed=0)
        self._failed = 0

    def start(self, planned: int) -> None:
        self._progress.update(self._task, total=planned)

    def result(self, result: TenantResult) -> None:
        super().result(result)
        self._failed += result.error is not None
        self._progress.update(self._task, advance=1, failed=self._failed)

    def skip(self, slug: str) -> None:
        super().skip(slug)
        self._progress.update(self._task, advance=1)

    def wave(self, wave: Wave, done: int, failed: int) -> None:
        self._progress.update(self._task, description=f"tenants, {wave.name} done")


@contextmanager
def reporting(console: Console) -> Generator[Report]:
    """Show a run on a console while it lasts."""
    if not console.is_terminal:
        yield _report(RunLines(console))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _report(_RunBar(console, progress))


def summary_lines(summary: RunSummary) -> list[str]:
    """Return what a run came to, for a person."""
    done = len(summary.results) - len(summary.failed)
    left = summary.planned - len(summary.results) - len(summary.skipped)
    if not summary.planned:
        what = "left to call" if summary.kind == "call" else "to be brought to"
        return [f"nothing to do: {summary.fleet} tenants, none {what} {summary.target}"]
    preposition = "by" if RELATIVE.fullmatch(summary.target) else "to"
    what = f"{summary.target} called for" if summary.kind == "call" else f"migrated {preposition} {summary.target}:"
    line = f"{what} {done} of {summary.fleet} tenants, {len(summary.failed)} failed"
    if summary.skipped:
        line += f", {len(summary.skipped)} skipped, for they were purged meanwhile"
    if summary.stopped:
        return [f"stopped: {summary.stopped}", f"{line}, {left} left as they were"]
    return [line]


def _report(lines: RunLines) -> Report:
    return Report(
        on_plan=lines.plan,
        on_start=lines.start,
        on_result=lines.result,
        on_skip=lines.skip,
        on_wave=lines.wave,
        on_wait=lines.wait,
    )
