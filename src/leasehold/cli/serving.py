"""Runs the server: Granian, with the app made anew in each worker process from the environment."""

import errno
import os
import socket

from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server import Server
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.vault import InstallationKey

_DRAIN_S = 30


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


def run_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way get up to 30 seconds to end."""
    os.environ.update(_environment(settings))
    Server(
        "leasehold.main:create_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        factory=True,
        loop=Loops.uvloop,
        workers=settings.workers,
        websockets=False,
        log_level=LogLevels.warning,
        workers_kill_timeout=_DRAIN_S,
    ).serve()


def _environment(settings: Settings) -> dict[str, str]:
    """Return the variables from which a worker process builds the same settings."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {
        f"LEASEHOLD_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }
