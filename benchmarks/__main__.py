"""`python -m benchmarks`: serves a fresh installation and prints what requests and provisioning cost on it."""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from benchmarks.load import requests_per_second
from benchmarks.served import Served, serve

SECONDS = 4.0
CONNECTIONS = 16
ROUNDS = 3


async def milliseconds(work: Callable[[int], Awaitable[object]], times: int) -> float:
    """Return the median duration of some work."""
    taken: list[float] = []
    for number in range(times):
        started = time.perf_counter()
        await work(number)
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


async def measure(served: Served) -> None:
    """Print the table."""
    async with httpx.AsyncClient(base_url=served.address, timeout=30) as client:
        token = await served.token(client, "acme")
        headers = {"Authorization": f"Bearer {token}"}
        items = (await client.get("/v1/items", headers=headers)).json()["items"]
        paths = {
            "GET /health/live": "/health/live",
            "GET one item": f"/v1/items/{items[0]['id']}",
            "GET items": "/v1/items",
        }
        rates: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(ROUNDS):  # interleaved, so that all meet the same machine
            for name, path in paths.items():
                rates[name].append(
                    await requests_per_second(
                        served.address, path, headers, connections=CONNECTIONS, seconds=SECONDS / ROUNDS
                    )
                )
        medians = {name: statistics.median(values) for name, values in rates.items()}
        live = medians["GET /health/live"]
        print(f"\n{CONNECTIONS} connections, one server process, client and PostgreSQL on the same machine\n")
        print("| request | requests/s | of /health/live |\n|---|---|---|")
        for name, value in medians.items():
            print(f"| {name} | {value:,.0f} | {value / live:.2f} |")
        admin = {"Authorization": f"Bearer {served.admin_token}"}

        async def provision(number: int) -> None:
            body = {"slug": f"bench-{number}", "name": "Bench"}
            (await client.post("/platform/v1/tenants", headers=admin, json=body)).raise_for_status()

        print(f"\nprovisioning a tenant over HTTP: {await milliseconds(provision, 20):.1f} ms (median of 20)")


def main() -> None:
    """Run the measurements on an installation in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as folder, serve(Path(folder)) as served:
        asyncio.run(measure(served))


if __name__ == "__main__":
    sys.exit(main())
