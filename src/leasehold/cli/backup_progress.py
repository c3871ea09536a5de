"""Shows how a run of backups goes: a bar on a terminal, a line for each tenant elsewhere."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from leasehold.platform.backups.progress import RunProgress
from leasehold.platform.backups.schemas import Result

_WORDS = {"unchanged": "unchanged", "resumed": "there already", "skipped": "not tried"}


def told(result: Result) -> str:
    """Return what became of one backup, for people."""
    if result.outcome == "failed":
        return f"{result.name}: failed, {result.reason}"
    return f"{result.name}: {_WORDS.get(result.outcome) or f'{result.bytes} bytes'}"


@contextmanager
def showing() -> Generator[RunProgress]:
    """Show it on standard error while it lasts."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield RunProgress(on_start=_plain_start, on_result=lambda result: click.echo(told(result), err=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[mb]} MB"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("backups", total=None, mb="0")
        size = 0

        def on_bytes(more: int) -> None:
            nonlocal size
            size += more
            bar.update(task, mb=f"{size / 1_000_000:.1f}")

        def on_result(result: Result) -> None:
            bar.update(task, advance=1, description=result.name)
            if result.outcome == "failed":
                bar.console.print(told(result), highlight=False, markup=False)

        yield RunProgress(
            on_start=lambda total, _since: bar.update(task, total=total), on_result=on_result, on_bytes=on_bytes
        )


def _plain_start(total: int, since: datetime | None) -> None:
    if since is not None:
        click.echo(f"going on with the run of {since:%Y-%m-%d %H:%M:%S} UTC", err=True)
    click.echo(f"{total} to do", err=True)
