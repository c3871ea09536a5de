"""A server that is killed at a COMMIT, held up there by a proxy in front of PostgreSQL."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from leasehold.config import Settings
from tests.faults.serving import doomed
from tests.postgres_proxy import Hold, proxy


async def die_in(settings: Settings, hold: Hold, path: str, headers: dict[str, str], body: dict[str, Any]) -> None:
    """Send a request to a server, and kill it when it has come to the COMMIT that is held up."""
    parts = urlsplit(settings.database_url.get_secret_value())
    async with proxy(parts.hostname or "", parts.port or 5432) as traffic:
        through = {
            name: getattr(settings, name).get_secret_value().replace(f":{parts.port}/", f":{traffic.port}/")
            for name in ("database_url", "owner_url")
        }
        async with doomed(settings, **through) as (address, kill):
            traffic.hold = hold
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                asking = asyncio.create_task(client.post(path, headers=headers, json=body))
                async with asyncio.timeout(60):
                    await hold.reached.wait()
                kill()
                with pytest.raises(httpx.TransportError):
                    await asking
