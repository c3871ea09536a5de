"""`python -m benchmarks.noise PORT CONNECTIONS SECONDS`: one noisy client, a program of its own.

It reads requests from its standard input as JSON strings, one a line, asks for them in turn on each connection as soon
as the last answer is there, whatever that was, and prints how many answers had which status. It gives way to all
others: who makes noise has a machine of its own, and the quiet ones need not share that.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from itertools import cycle

import uvloop

_HEAD_ENDS = b"\r\n\r\n"


async def _make_noise(port: int, connections: int, seconds: float, requests: list[bytes]) -> Counter[str]:
    statuses: Counter[str] = Counter()
    turns = cycle(requests)

    async def ask_on_and_on() -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while True:
                    writer.write(next(turns))
                    head = await reader.readuntil(_HEAD_ENDS)
                    length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r")[0] or 0)
                    await reader.readexactly(length)
                    statuses[head[9:12].decode()] += 1
            except (OSError, asyncio.IncompleteReadError):
                statuses["cut off"] += 1
            finally:
                writer.close()

    tasks = [asyncio.create_task(ask_on_and_on()) for _ in range(connections)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return statuses


def main() -> None:
    """Make the noise that the command line and the standard input describe."""
    os.nice(19)
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    requests = [json.loads(line).encode() for line in sys.stdin]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_make_noise(port, connections, seconds, requests))))


if __name__ == "__main__":
    main()
