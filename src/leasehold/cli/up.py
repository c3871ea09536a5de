"""`leasehold up`: from nothing to a running installation with two demo tenants, on one machine."""

import asyncio
import os
import shlex
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from urllib.request import urlopen

import click
from rich.console import Console
from rich_click import RichCommand

from leasehold.cli.demo import Demo, prepare_demo
from leasehold.cli.fleet_run import run_migrations
from leasehold.cli.installation import default_data_dir, local_installation
from leasehold.cli.serving import demand_free_port, run_server
from leasehold.config import Settings

_READY_ATTEMPTS = 300
_READY_PAUSE_S = 0.1


@click.command(cls=RichCommand)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port on 127.0.0.1.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the data; .leasehold if missing.")
@click.option("--no-demo", is_flag=True, help="Make no demo tenants.")
def up(port: int, data_dir: Path | None, no_demo: bool) -> None:
    """Start PostgreSQL, migrate, make two demo tenants, and serve on 127.0.0.1 until Ctrl-C.

    With LEASEHOLD_DATABASE_URL that server is used instead of the embedded one. A second start keeps the data.
    """
    # SIGTERM must unwind like Ctrl-C does, or PostgreSQL would stay behind.
    signal.signal(signal.SIGTERM, _leave)
    folder = (data_dir or default_data_dir()).absolute()
    demand_free_port("127.0.0.1", port)
    os.environ.setdefault("LEASEHOLD_LOG_FORMAT", "console")
    os.environ |= {"LEASEHOLD_HOST": "127.0.0.1", "LEASEHOLD_PORT": str(port)}
    os.environ.setdefault("LEASEHOLD_ISSUER", f"http://localhost:{port}")
    os.environ.setdefault("LEASEHOLD_WORKER_INSIDE", "true")
    os.environ.setdefault("LEASEHOLD_DRAIN_S", "0")
    os.environ.setdefault("LEASEHOLD_MAIL_DIR", str(folder / "mail"))
    try:
        with local_installation(folder) as settings:
            if run_migrations(settings, jobs=os.cpu_count() or 1, console=Console(stderr=True)).failed:
                sys.exit(1)
            demo = None if no_demo else asyncio.run(prepare_demo(settings, folder))
            run_server(settings, after_start=partial(_welcome_when_ready, settings, demo, folder))
    except KeyboardInterrupt:
        sys.exit(0)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _welcome_when_ready(settings: Settings, demo: Demo | None, folder: Path) -> None:
    """Print the welcome once the server answers, so that its curl lines work at the moment they are read."""
    for _ in range(_READY_ATTEMPTS):
        with suppress(OSError), urlopen(f"http://127.0.0.1:{settings.port}/health/ready", timeout=1):
            click.echo(_welcome(settings, demo, folder))
            return
        time.sleep(_READY_PAUSE_S)


def _welcome(settings: Settings, demo: Demo | None, folder: Path) -> str:
    base = f"http://127.0.0.1:{settings.port}"
    lines = ["", f"Leasehold serves on {base}", f"API docs: {base}/docs", ""]
    if demo is None:
        command = "leasehold tenants create acme"
        if folder != default_data_dir():
            command = f"LEASEHOLD_DATA_DIR={shlex.quote(str(folder))} {command}"
        lines += [f"No demo tenants. Make one:  {command}", ""]
        return "\n".join(lines)
    for slug, client in demo.clients.items():
        lines += [f"{slug}:  client_id={client.client_id}  client_secret={client.client_secret}"]
    lines += [f"platform admin token:  {demo.admin_token}", "", "Try it:"]
    for slug, client in list(demo.clients.items())[:1]:
        lines += [
            f"  TOKEN=$(curl -s {base}/oauth/token -H 'X-Tenant: {slug}' -d grant_type=client_credentials \\",
            f"    -d client_id={client.client_id} -d client_secret={client.client_secret} \\",
            '    | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\')',
            f'  curl -s {base}/v1/items -H "Authorization: Bearer $TOKEN"',
        ]
    lines += [f"  curl -s {base}/platform/v1/tenants -H 'Authorization: Bearer {demo.admin_token}'", ""]
    return "\n".join(lines)
