"""What a client has sent as lines of JSON, however much: received in whole before anything is done with it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import IO

from leasehold.core.errors import FieldError, Invalid

TAKES_LINES = "takes_lines"
"""Marks a route whose body is lines of JSON, and that is given it as an `Upload`."""

MOST_LINES = 100_000
LONGEST_LINE_BYTES = 256 * 1024
BATCH = 1000
AT_ONCE = 8
"""So many bodies a process keeps on its disk at once."""
AT_ONCE_OF_ONE = 2
"""So many of them of one tenant."""
RawLine = tuple[int, bytes]
"""The number of a line, from 1, and what stands there."""


class Upload:
    """A body that was received, in a file that is deleted with the request. It is read once."""

    def __init__(self, file: IO[bytes], digest: bytes) -> None:
        self._file = file
        self.digest = digest
        """SHA-256 of the body."""

    async def batches(self) -> AsyncGenerator[list[RawLine]]:
        """Return the lines that are not blank, a batch at a time.

        Raises:
            Invalid: a line is too long, or there are too many; what came before it has been returned.
        """
        number, taken = 0, 0
        while True:
            batch: list[RawLine] = []
            fault = None
            while len(batch) < BATCH and (line := self._file.readline(LONGEST_LINE_BYTES + 1)):
                number += 1
                if len(line) > LONGEST_LINE_BYTES:
                    fault = f"is longer than {LONGEST_LINE_BYTES} bytes"
                    break
                if line.isspace():
                    continue
                taken += 1
                if taken > MOST_LINES:
                    fault = f"is one more than {MOST_LINES}"
                    break
                batch.append((number, line))
            if batch:
                yield batch
            if fault:
                raise Invalid(errors=[FieldError(f"line {number}", fault)])
            if len(batch) < BATCH:
                return
            await asyncio.sleep(0)  # for the others: a batch is some milliseconds of work
