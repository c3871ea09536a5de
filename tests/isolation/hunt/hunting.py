"""A hunt: several server processes, many tenants, everything at once, and what was seen of it."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile
from urllib.parse import urlsplit

from leasehold.config import Settings
from leasehold.core.ending import ended
from leasehold.main import build_process, running
from tests.factories import admin
from tests.faults.serving import served
from tests.isolation.hunt.decisions import decisions
from tests.isolation.hunt.evidence import strangers
from tests.isolation.hunt.hunter import Hunter
from tests.isolation.hunt.own import OWN
from tests.isolation.hunt.tenants import settle
from tests.isolation.hunt.trespasses import TRESPASSES
from tests.isolation.hunt.watch import Watch
from tests.isolation.hunt.weather import KINDS, Weather

_MOST_TOLD = 5
"""So many errors of the servers are told; there should be none."""
_SERVERS = {
    "rate_limit_tenant": "off",
    "rate_limit_client": "off",
    "rate_limit_address": "off",
    "former_slug_seconds": "0",  # so that a slug can be another tenant's at once
    "directory_max_age_s": "3",  # who has not heard of changes for longer answers 503
}
_ACTS = {act.__name__: act for act in (*OWN, *TRESPASSES)}
_WEIGHTS = {act.__name__: weight for act, weight in (OWN | TRESPASSES).items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a hunt is."""

    operations: int
    tenants: int
    seed: int = 1
    servers: int = 2
    hunters: int = 16
    has_weather: bool = True
    is_over_at_a_leak: bool = False
    told_every_s: float = 60.0
    """So often it is said how far it has come, where somebody listens."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a hunt."""

    leaks: list[str]
    faults: list[str]
    operations: int
    marks: int
    judged: Mapping[str, int]
    """How many trespasses were answered so that a leak would have been seen, by their names."""
    weather: Mapping[str, int]
    """What happened meanwhile, and how often."""
    decided: str
    """A digest of all decisions: the same for the same plan."""
    told: str
    """All of it, for people."""


async def hunt(settings: Settings, plan: Plan, *, tell: Callable[[str], None] | None = None, **others: str) -> Found:
    """Hunt in an installation; `others` are settings of the servers, as the environment has them.

    `tell` is told now and then how far it has come.
    """
    process = build_process(settings)
    async with running(process):
        tenants = await settle(process, plan.tenants, seed=plan.seed)
        headers = await admin(process)
    watch = Watch(is_over_at_a_leak=plan.is_over_at_a_leak)
    with TemporaryFile() as said:
        async with AsyncExitStack() as stack:
            # A connection is replaced when it has met all tenants but one.
            changes = _SERVERS | {
                "tenants_per_connection": str(plan.tenants - 1),
                "prepared_statements": str(settings.prepared_statements).lower(),  # an old pooler loses them
            }
            starting = (
                stack.enter_async_context(served(settings, output=said, **changes, **others))
                for _ in range(plan.servers)
            )
            ports = [urlsplit(address).port or 0 for address in await asyncio.gather(*starting)]
            hunters = [
                Hunter(number, ports, tenants, watch, base_domain=settings.base_domain)
                for number in range(plan.hunters)
            ]
            weather = Weather(settings, ports[0], headers, tenants, plan.seed)
            blowing = asyncio.create_task(weather.blow()) if plan.has_weather else None
            began, worked = time.monotonic(), time.process_time()
            telling = asyncio.create_task(_tell(watch, tell, plan.told_every_s)) if tell is not None else None
            async with asyncio.TaskGroup() as group:
                for hunter in hunters:
                    group.create_task(_hunt(hunter, plan, weather, blowing))
            seconds, worked = time.monotonic() - began, time.process_time() - worked
            for task in filter(None, (blowing, telling)):
                await ended(task)
            said.seek(0)
            errors = [line.decode(errors="replace") for line in said if b"request_failed" in line]
    watch.leaks += await strangers(settings, tenants, hunters)
    decided = hashlib.sha256(b"".join(hunter.decided.digest() for hunter in hunters)).hexdigest()[:16]
    told = (
        f"{watch.progress(seconds)}\n"
        f"seed {plan.seed}, decisions {decided}, tenants {plan.tenants}, servers {plan.servers}\n"
        f"{seconds:.0f} s, of which the hunters themselves have worked {worked:.0f}\n"
        f"marks seen {watch.marks}, requests left alone {watch.cut}, answers {dict(sorted(watch.statuses.items()))}\n"
        f"trespasses that were judged {dict(watch.judged)}\n"
        f"meanwhile {dict(weather.done)}\n" + "".join(errors[:_MOST_TOLD])
    )
    done = sum(watch.operations.values())
    return Found(watch.leaks, watch.faults, done, watch.marks, watch.judged, weather.done, decided, told)


async def _hunt(hunter: Hunter, plan: Plan, weather: Weather, blowing: asyncio.Task[None] | None) -> None:
    """Let a hunter hunt, and not be done before all that is to happen meanwhile has happened once."""
    of_it = decisions(plan.seed, hunter.number, tenants=plan.tenants, weights=_WEIGHTS)
    each, half = plan.operations // plan.hunters, plan.operations // plan.hunters // 2
    await hunter.hunt(_ACTS, of_it, half)
    while blowing is not None and not blowing.done() and not all(weather.done[kind] for kind in KINDS):
        await asyncio.sleep(0.01)
    await hunter.hunt(_ACTS, of_it, each - half)


async def _tell(watch: Watch, tell: Callable[[str], None], every_s: float) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(every_s)
        tell(watch.progress(time.monotonic() - began))
