"""How a process that serves comes to its end: it says so and serves on, and at last cuts off what is left."""

import asyncio
from typing import Any

from leasehold.core.errors import Unavailable


class ProcessStopping(Unavailable):
    """This process is about to stop; others serve."""

    type = "process-stopping"
    title = "Process stopping"


class Stopping:
    """Whether a process is about to stop, and what is under way in it."""

    def __init__(self) -> None:
        self.is_near = False
        """Whether load balancers are to send nothing more, and clients to come back on another connection."""
        self.under_way: set[asyncio.Task[Any]] = set()
        """The requests that are being answered."""

    def announce(self) -> None:
        """Say that the process is about to stop. Until it does it serves whoever asks."""
        self.is_near = True

    def demand_distant(self) -> None:
        """Pass unless the process is about to stop.

        Raises:
            ProcessStopping: it is.
        """
        if self.is_near:
            raise ProcessStopping

    def cut_off(self) -> None:
        """Cancel what is still under way: its transactions are rolled back, and its clients see that it was cut off."""
        for task in list(self.under_way):
            task.cancel()
