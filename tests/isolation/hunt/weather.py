"""What happens to an installation while it is hunted in: backends end, tenants swap their names, new ones come."""

import asyncio
import json
import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any

import asyncpg

from leasehold.config import Settings
from leasehold.core.database import driver_url
from tests.factories import new_slug
from tests.isolation.hunt.tenants import Hunted
from tests.isolation.hunt.wire import Answer, Cut, Wire, written
from tests.pooler import direct

_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
ORDER BY md5(pid::text || $1) LIMIT 1
"""
_PAUSE_S = 0.4
_WITHIN_S = 120
"""It may wait for all hunters, where all share one connection of a pooler."""


KINDS = ("terminated", "swapped", "provisioned")


class Weather:
    """Does harm and makes changes, one after the other, as long as it blows."""

    def __init__(
        self, settings: Settings, port: int, admin: dict[str, str], tenants: Sequence[Hunted], seed: int
    ) -> None:
        self.done: Counter[str] = Counter()
        self._settings, self._admin = settings, admin
        # The others keep their slugs: what is tried with a name counts only where it was not changed lately.
        self._moving = tenants[: len(tenants) // 2]
        self._wire = Wire(port)
        self._drawn = random.Random(f"weather of {seed}")
        self._names = (f"{new_slug()}-{number}" for number in count())

    async def blow(self) -> None:
        """Go on until it is cancelled."""
        connection: Any = await asyncpg.connect(driver_url(direct(self._settings)))
        try:
            for turn in count():
                # Each once, before the hunters are done.
                kind = KINDS[turn] if turn < len(KINDS) else self._drawn.choice(("terminated", *KINDS))
                if kind == "terminated":
                    await connection.execute(_TERMINATE, next(self._names))
                elif kind == "swapped":
                    await self._swap(*self._drawn.sample(self._moving, 2))
                else:
                    await self._ask("POST", "", {"slug": next(self._names), "name": "Newcomer"})
                self.done[kind] += 1
                await asyncio.sleep(_PAUSE_S * self._drawn.random())
        finally:
            self._wire.close()
            await connection.close()

    async def _swap(self, one: Hunted, other: Hunted) -> None:
        """Let two tenants have each other's slug: whoever knows a host by heart meets another tenant there."""
        slugs = one.slug, other.slug
        for tenant, slug in ((one, next(self._names)), (other, slugs[0]), (one, slugs[1])):
            one.renamed_at = other.renamed_at = math.inf
            await self._ask("PATCH", f"/{tenant.id}", {"slug": slug})
            tenant.slug = slug
        one.renamed_at = other.renamed_at = time.monotonic()

    async def _ask(self, method: str, path: str, body: dict[str, str]) -> None:
        """Ask the platform until it has done it; what was made by an earlier try, unheard, is there already."""
        good = {200} if method == "PATCH" else {201, 409}
        headers = self._admin | {"Content-Type": "application/json"}
        request = written(
            method, f"/platform/v1/tenants{path}", self._settings.base_domain, headers, json.dumps(body).encode()
        )
        async with asyncio.timeout(_WITHIN_S):
            while True:
                answer = await self._answer(request)
                if answer is not None and answer.status in good:
                    return
                assert answer is None or answer.status == 503, answer
                await asyncio.sleep(0.02)

    async def _answer(self, request: bytes) -> Answer | None:
        try:
            return await self._wire.ask(request)
        except Cut:
            return None
