"""How many connections to PostgreSQL an installation takes: the one place where the sum is done."""

from dataclasses import dataclass

OWNER_CONNECTIONS = 2
"""What a process opens at most as the owner, to provision."""
CLAIM_CONNECTIONS = 2
"""What it opens at most to claim vacancies: a claim is one statement, so they serve many who sign up at once."""

_FEED_CONNECTIONS = 1
_SESSION_SHARE = 3


@dataclass(frozen=True, slots=True)
class ConnectionBudget:
    """What each process holds at most, and what all of them hold together."""

    readers: int
    sessions: int
    total: int
    tenant_share: float = 1.0
    """The part of the readers, and of the sessions, that one tenant may hold at once."""

    def share_of(self, connections: int) -> int:
        """Return how many of so many connections one tenant may hold."""
        return max(1, int(connections * self.tenant_share))


def worker_budget(*, jobs: int) -> ConnectionBudget:
    """Return what a worker holds that runs so many jobs at once: one connection for each, and one for the queue."""
    total = jobs + 1 + _FEED_CONNECTIONS + OWNER_CONNECTIONS + 1
    return ConnectionBudget(readers=1, sessions=jobs, total=total)


def connection_budget(
    *, pool_size: int, workers: int, has_quotas: bool = False, tenant_share: float = 1.0
) -> ConnectionBudget:
    """Divide the connections that a process may hold for requests: a third, but at least one, for what writes.

    One more counts quotas where PostgreSQL does that.
    """
    sessions = max(1, pool_size // _SESSION_SHARE)
    readers = max(1, pool_size - sessions)
    each = readers + sessions + _FEED_CONNECTIONS + OWNER_CONNECTIONS + CLAIM_CONNECTIONS + has_quotas
    return ConnectionBudget(readers, sessions, workers * each, tenant_share)
