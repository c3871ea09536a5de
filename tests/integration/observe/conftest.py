"""A server whose figures are looked at, for all tests of a file."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from leasehold.config import Settings
from tests.faults.serving import served
from tests.integration.cli.shell import free_port
from tests.integration.observe.scraping import Observed


@pytest.fixture(scope="module")
async def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Observed]:
    """A server of two processes, with a worker inside."""
    port, folder = free_port(), tmp_path_factory.mktemp("meeting")
    told = {"metrics_port": str(port), "metrics_tenants": "1", "metrics_dir": str(folder), "vacancies": "0"}
    told |= {"workers": "2", "worker_inside": "true", "worker_grace_s": "5"}
    async with served(settings, **told) as address:
        async with asyncio.timeout(60):
            while len(list(folder.iterdir())) < 2:  # a poll with a deadline: nothing tells us when both are there
                await asyncio.sleep(0.02)
        yield Observed(address, port, folder)
