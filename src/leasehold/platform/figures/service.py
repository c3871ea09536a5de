"""The figures of the installation, remembered for a few seconds: who asks often costs the database nothing."""

import asyncio
import time

import structlog

from leasehold.core.database import Database, platform_session
from leasehold.core.errors import Unavailable
from leasehold.core.figures import Combine, Family, Kind, Sample
from leasehold.platform.figures.repository import FigureRepository
from leasehold.tenancy.context import TenantState

_FRESH_S = 10.0
_TIMEOUT_S = 2.0

_log = structlog.get_logger(__name__)


class InstallationFigures:
    """What the registry, the ledger and the queue say of all tenants together."""

    def __init__(self, database: Database, *, head: str, vacancies: int) -> None:
        self._database = database
        self._head = head
        self._vacancies = vacancies
        self._known: list[Family] = []
        self._known_at: float | None = None
        self._lock = asyncio.Lock()

    async def families(self) -> list[Family]:
        """Return the figures, those of some seconds ago where the database does not answer, and how old they are."""
        async with self._lock:
            if self._known_at is None or time.monotonic() - self._known_at > _FRESH_S:
                await self._refresh()
        if self._known_at is None:
            return []
        told = "Seconds since the figures of the installation were read from the database"
        return [
            *self._known,
            _one("leasehold_installation_figures_age_seconds", told, time.monotonic() - self._known_at),
        ]

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S), platform_session(self._database) as session:
                figures = FigureRepository(session)
                known = [
                    *await self._of_tenants(figures),
                    *await _of_runs(figures),
                    *await _of_backups(figures),
                    *await _of_jobs(figures),
                ]
        except (Unavailable, TimeoutError) as error:
            _log.warning("installation_figures_unknown", error=type(error).__name__)
        else:
            self._known, self._known_at = known, time.monotonic()

    async def _of_tenants(self, figures: FigureRepository) -> list[Family]:
        rows = await figures.tenants()
        states = dict.fromkeys((state for state in TenantState if state not in _GONE), 0)
        behind = vacant = 0
        for row in rows:
            states[TenantState(row["state"])] += row["tenants"]
            if row["revision"] != self._head:
                behind += row["tenants"]
            elif row["state"] == TenantState.VACANT:
                vacant += row["tenants"]
        by_state = [Sample((state,), [float(count)]) for state, count in states.items()]
        return [
            Family(
                "leasehold_tenants",
                Kind.GAUGE,
                "Tenants by state, those that are purged left out",
                by_state,
                ("state",),
                combine=Combine.LARGEST,
            ),
            _one(
                "leasehold_tenants_behind", "Tenants and vacancies whose schema is not at this release's head", behind
            ),
            _one("leasehold_vacancies", "Schemas at head that stand ready for new tenants", vacant),
            _one("leasehold_vacancies_wanted", "Schemas that the settings want to stand ready", self._vacancies),
        ]


_GONE = (TenantState.PURGING, TenantState.PURGED)


async def _of_runs(figures: FigureRepository) -> list[Family]:
    running = _one(
        "leasehold_migration_running", "1 while a run over the fleet is under way", await figures.is_running()
    )
    last = await figures.last_run()
    if last is None:
        return [running]
    return [
        running,
        _one(
            "leasehold_migration_succeeded",
            "1 if the last migration of the fleet succeeded, else 0",
            last["outcome"] == "succeeded",
        ),
        _one(
            "leasehold_migration_failed_tenants",
            "Tenants that the last migration of the fleet has failed for",
            last["failures"],
        ),
        _one(
            "leasehold_migration_finished_timestamp_seconds",
            "When the last migration of the fleet ended, in seconds since 1970",
            last["finished_at"] or 0,
        ),
    ]


async def _of_backups(figures: FigureRepository) -> list[Family]:
    return [
        _one(
            "leasehold_backup_finished_timestamp_seconds",
            "When the last run of backups ended in which nothing failed, in seconds since 1970, 0 before the first",
            await figures.last_backup(),
        )
    ]


async def _of_jobs(figures: FigureRepository) -> list[Family]:
    jobs = await figures.jobs()
    return [
        Family(
            "leasehold_jobs",
            Kind.GAUGE,
            "Jobs by state, counted up to 100,000 of each",
            [Sample((state,), [float(count)]) for state, count in jobs.items()],
            ("state",),
            combine=Combine.LARGEST,
        ),
        _one(
            "leasehold_jobs_oldest_seconds",
            "For how long the oldest job has waited for a worker",
            await figures.waited_s(),
        ),
        _one("leasehold_workers", "Workers that have shown lately that they live", await figures.workers()),
        _one(
            "leasehold_periodic_tasks_failed",
            "Periodic tasks that failed the last time",
            await figures.failed_tasks(),
        ),
    ]


def _one(name: str, told: str, value: float) -> Family:
    return Family.number(name, told, value, combine=Combine.LARGEST)
