"""Shows how an export or an import goes: a bar on a terminal, a line for each table elsewhere."""

from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from leasehold.tenancy.archive.progress import Progress


@contextmanager
def showing() -> Generator[Progress]:
    """Show it on standard error while it lasts."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Progress(on_table=lambda what, size: click.echo(f"{what}, {size} bytes", err=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[mb]} MB"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("tables", total=None, mb="0")
        size = 0

        def on_bytes(more: int) -> None:
            nonlocal size
            size += more
            bar.update(task, mb=f"{size / 1_000_000:.1f}")

        yield Progress(
            on_start=lambda total: bar.update(task, total=total),
            on_table=lambda what, _size: bar.update(task, advance=1, description=what),
            on_bytes=on_bytes,
        )
