"""A load of GET requests over keep-alive connections, by as little client as possible: a slow one would be measured."""

import asyncio
import time
from urllib.parse import urlsplit


async def requests_per_second(
    address: str, path: str, headers: dict[str, str], *, connections: int, seconds: float
) -> float:
    """Return how many requests were answered with 200 in a second, over all connections."""
    parts = urlsplit(address)
    lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", *(f"{name}: {value}" for name, value in headers.items())]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    started = time.perf_counter()
    answered = await asyncio.gather(
        *(_ask(parts.hostname, parts.port, request, started + seconds) for _ in range(connections))
    )
    return sum(answered) / (time.perf_counter() - started)


async def _ask(host: str | None, port: int | None, request: bytes, deadline: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    answered = 0
    while time.perf_counter() < deadline:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode())
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        answered += 1
    writer.close()
    return answered
