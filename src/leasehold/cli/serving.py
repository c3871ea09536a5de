"""Runs the server: Granian, with the app made anew in each worker process from the environment."""

import errno
import math
import os
import resource
import signal
import socket
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from granian import _signals
from granian._granian import WorkerSignal
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.budget import connection_budget
from leasehold.core.stopping import Stopping
from leasehold.core.vault import InstallationKey

_CLOSING_S = 10
"""So long a worker may take to hand over what it has gathered and to close its connections; then it is killed."""
_BACKLOG = 4096
"""Connections that wait in the kernel until a worker accepts them; Linux grants as many, unless it was told not to."""
_MAX_CLIENTS = 4096
_OTHER_FILES = 100
"""What a worker may have open besides its clients and its database."""
_MAX_HEAD_BYTES = 64 * 1024
"""Granian's own is 408 KiB, which every client may make it keep."""
_run_worker: Callable[..., None] = MPServer._spawn_asgi_lifespan_worker  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class PortTaken(RuntimeError):
    """Cannot listen on {host}:{port}: {reason}."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(host=host, port=port, reason=reason))


class DemoSecrets(RuntimeError):
    """LEASEHOLD_INSTALLATION_KEY is a demo's, which `serve` refuses; `leasehold keys generate` makes a real one."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def demand_free_port(host: str, port: int) -> None:
    """Pass if the server can listen there.

    Raises:
        PortTaken: something else does, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise PortTaken(host, port, "another program does" if taken else error.strerror or str(error)) from error


def demand_real_secrets(settings: Settings) -> None:
    """Pass if the installation key was made for production.

    Raises:
        DemoSecrets: it was made by `up`.
        InvalidInstallationKey: it is no key.
    """
    if InstallationKey(settings.installation_key.get_secret_value()).is_demo:
        raise DemoSecrets


def max_clients(*, pool_size: int, max_files: int) -> int:
    """Return how many connections a worker accepts at once, where it may open so many files; more wait in the kernel.

    Granian's own limit is 1024 for all workers together, and counts a connection for as long as its client keeps it:
    a thousand idle ones would shut out everybody until they are closed, which is after 30 seconds. Nor may clients
    take the files that a worker needs to reach its database.
    """
    if max_files == resource.RLIM_INFINITY:
        return _MAX_CLIENTS
    own = connection_budget(pool_size=pool_size, workers=1).total + _OTHER_FILES
    return max(1, min(_MAX_CLIENTS, max_files - own))


def _end_in_order(stopping: Stopping, settings: Settings, loop: AbstractEventLoop) -> WorkerSignal:
    """Let a worker end in order: not ready at once, later no new connections, and at last whatever is left is cut off.

    Its runtime is told once: a second call of `set` would wait for ever. A worker gets two signals whenever its whole
    process group or control group is signalled, for its parent then ends it too.
    """
    signalled = WorkerSignal()
    waiting = [signalled]

    def end() -> None:
        stopping.announce()
        if waiting:
            loop.call_later(settings.stop_grace_s, stopping.cut_off)
            waiting.pop().set()

    def drain() -> None:
        if not stopping.is_near:
            stopping.announce()
            loop.call_later(settings.drain_s, end)

    loop.add_signal_handler(signal.SIGTERM, drain)
    loop.add_signal_handler(signal.SIGINT, end)  # a person waits for it
    return signalled


def _run_our_worker(
    settings: Settings, number: int, name: Any, load: Callable[[], Any], sockets: Any, *options: Any
) -> None:
    """Run a worker that ends in order.

    Granian has no hook for it, so in this process, which is forked for one worker, its function is replaced.
    """

    def load_and_remember() -> Any:
        app = load()
        _signals.set_loop_signals = partial(_end_in_order, app.app.state.process.stopping, settings)
        return app

    _run_worker(number, name, load_and_remember, _impatient(sockets, settings), *options)


def _impatient(sockets: Any, settings: Settings) -> Any:
    """Return a worker's socket, on which clients are cut off when they have taken nothing of an answer for too long.

    Granian itself waits for them for ever. So the worker is given the socket that it would have made from the same
    description: the kernel hands the time on to each connection that is accepted on it. Not every system can.
    """
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return sockets
    (described, made), shared = sockets
    made = made or described.build()
    with socket.socket(fileno=os.dup(made.get_fd())) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _timeout_ms(settings))
    return (None, made), shared


def _timeout_ms(settings: Settings) -> int:
    return max(1, round(settings.client_timeout_s * 1000))


def _longest_end_s(settings: Settings) -> int:
    """Return after how many seconds a worker that was told to stop, and has not, is killed."""
    jobs_s = settings.worker_grace_s if settings.worker_inside else 0
    return math.ceil(settings.drain_s + settings.stop_grace_s + jobs_s + _CLOSING_S)


class _InterruptibleServer(MPServer):
    """Granian's server, which ends on the first of any number of signals.

    Its own handler sets an `Event` in the main thread, which waits for that same event: a second signal in the middle
    of the first one's handling, or one that meets the wait at its lock, would wait for itself for ever. A terminal or
    a process manager that signals the whole process group sends two.
    """

    def __init__(self, *args: Any, settings: Settings, after_start: Callable[[], None] | None, **options: Any) -> None:
        super().__init__(*args, **options)  # pyright: ignore[reportUnknownMemberType]
        run: Any = partial(_run_our_worker, settings)
        self._spawn_asgi_lifespan_worker = run
        self._after_start = after_start

    def signal_handler_interrupt(self, number: int = signal.SIGTERM, *_args: Any, **_options: Any) -> None:
        """End the server, from a thread that may wait for the lock."""
        if number == signal.SIGINT:  # which the workers would hear of as a SIGTERM, and take their time
            workers: list[Any] = self.wrks
            for worker in workers:
                with suppress(ProcessLookupError):
                    os.kill(worker.inner.pid, signal.SIGINT)
        if not self.interrupt_signal:
            self.interrupt_signal = True
            threading.Thread(target=self.main_loop_interrupt.set).start()

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        super()._spawn_workers(spawn_target, target_loader)  # pyright: ignore[reportUnknownMemberType]
        # Not before: workers are forked, and a thread of ours would leave its locks taken in them.
        if self._after_start is not None:
            threading.Thread(target=self._after_start, daemon=True).start()


def run_server(settings: Settings, *, after_start: Callable[[], None] | None = None) -> None:
    """Serve until SIGTERM, which gives load balancers time to notice, or SIGINT, which gives them none.

    Requests under way get `stop_grace_s` to end.
    `after_start` is called in a thread once the workers are started, which is before they answer.
    """
    os.environ.update(_environment(settings))
    _InterruptibleServer(
        "leasehold.main:create_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        factory=True,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_timeout_ms(settings), max_buffer_size=_MAX_HEAD_BYTES),
        settings=settings,
        workers=settings.workers,
        websockets=False,
        backlog=_BACKLOG,
        # Granian has raised the soft limit to the hard one by now.
        backpressure=max_clients(pool_size=settings.pool_size, max_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        log_level=LogLevels.warning,
        workers_kill_timeout=_longest_end_s(settings),
        after_start=after_start,
    ).serve()


def _environment(settings: Settings) -> dict[str, str]:
    """Return the variables from which a worker process builds the same settings."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {
        f"LEASEHOLD_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }
