"""The figures of one process: its requests, its connections, its directory, and what it takes of the machine."""

import os
import resource
from importlib.metadata import version
from pathlib import Path

from leasehold.core.figures import SECONDS, Combine, Family, Kind, Sample
from leasehold.core.figures.tenants import TenantTotal
from leasehold.process import Process

_STATM = Path("/proc/self/statm")


def families_of(process: Process) -> list[Family]:
    """Return what a process has counted and how it is now, tenants left out."""
    return [
        *(family for source in process.sources for family in source()),
        *_of_pools(process),
        *_of_directory(process),
        *_of_machine(),
        Family(
            "leasehold_build_info",
            Kind.GAUGE,
            "Always 1; says which release serves, and the newest revision of tenants that it knows",
            [Sample((version("leasehold"), process.window.head), [1.0])],
            ("version", "head"),
            combine=Combine.LARGEST,
        ),
    ]


def tenants_of(process: Process) -> list[TenantTotal]:
    """Return what tenants have used of a process since it started, of those that used it since the last call."""
    return [
        TenantTotal.of(tenant_id, tenant.slug if (tenant := process.directory.by_id(tenant_id)) else "", counts)
        for tenant_id, counts in process.usage.totals()
    ]


def _of_pools(process: Process) -> list[Family]:
    readers, sessions, places = process.readers, process.database.pool, process.database.places
    waiting = sessions.waiting + (places.waiting if places else 0)
    timeouts = sessions.timeouts + (places.timeouts if places else 0)
    busy = {"readers": readers.open - readers.idle, "sessions": sessions.checkedout()}

    def by_pool(name: str, told: str, values: tuple[float, float], kind: Kind = Kind.GAUGE) -> Family:
        samples = [Sample(("readers",), [float(values[0])]), Sample(("sessions",), [float(values[1])])]
        return Family(name, kind, told, samples, ("pool",))

    return [
        by_pool(
            "leasehold_pool_size",
            "Connections that the pools of the server may hold",
            (readers.size, sessions.size()),
        ),
        by_pool("leasehold_pool_in_use", "Connections that are in use", (busy["readers"], busy["sessions"])),
        by_pool("leasehold_pool_waiting", "Who waits for a connection", (readers.waiting, waiting)),
        by_pool(
            "leasehold_pool_timeouts",
            "How often somebody has waited for a connection in vain, and was answered 503",
            (readers.timeouts, timeouts),
            Kind.COUNTER,
        ),
        Family(
            "leasehold_transaction_seconds",
            Kind.HISTOGRAM,
            "For how long transactions on tenants' data were open",
            [
                Sample(("readers",), readers.seconds.values()),
                Sample(("sessions",), process.database.seconds.values()),
            ],
            ("pool",),
            SECONDS,
        ),
    ]


def _of_directory(process: Process) -> list[Family]:
    directory, subjects, feed = process.directory, process.subjects, process.feed
    found = [
        Sample(("tenants", "hit"), [directory.hits]),
        Sample(("tenants", "miss"), [directory.misses]),
        Sample(("subjects", "hit"), [subjects.hits]),
        Sample(("subjects", "miss"), [subjects.misses]),
    ]
    return [
        Family(
            "leasehold_directory_lookups",
            Kind.COUNTER,
            "Requests that found their tenant in the directory, and their user, client or key among those known active",
            found,
            ("what", "outcome"),
        ),
        Family.number(
            "leasehold_directory_tenants", "Tenants in the directory", len(directory), combine=Combine.SMALLEST
        ),
        Family.number(
            "leasehold_directory_age_seconds",
            "Seconds since the directory was last confirmed, of the process where that is longest",
            directory.age_s,
            combine=Combine.LARGEST,
        ),
        Family.number(
            "leasehold_directory_listening",
            "1 if all processes hear of changes by LISTEN, 0 if one of them polls or has lost its connection",
            feed.is_listening,
            combine=Combine.SMALLEST,
        ),
        Family.number(
            "leasehold_directory_losses",
            "How often the connection that keeps the directory fresh was lost",
            feed.losses,
            kind=Kind.COUNTER,
        ),
    ]


def _of_machine() -> list[Family]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = [
        Family.number(
            "leasehold_cpu_seconds",
            "Processor time of the server's processes, in user and in system mode",
            used.ru_utime + used.ru_stime,
            kind=Kind.COUNTER,
        )
    ]
    if _STATM.exists():  # Linux has it
        resident = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        told = "Memory that the server's processes hold; what they share is counted for each"
        found.append(Family.number("leasehold_resident_memory_bytes", told, resident))
    return found
