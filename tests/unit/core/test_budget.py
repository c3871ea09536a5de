"""The sum of all connections."""

import pytest

from leasehold.core.budget import ConnectionBudget, connection_budget


@pytest.mark.parametrize(
    ("pool_size", "workers", "expected"),
    [
        (2, 1, ConnectionBudget(readers=1, sessions=1, total=7)),
        (12, 1, ConnectionBudget(readers=8, sessions=4, total=17)),
        (12, 4, ConnectionBudget(readers=8, sessions=4, total=68)),
        (30, 2, ConnectionBudget(readers=20, sessions=10, total=70)),
    ],
)
def test_the_budget_counts_every_connection_of_every_process(
    pool_size: int, workers: int, expected: ConnectionBudget
) -> None:
    assert connection_budget(pool_size=pool_size, workers=workers) == expected


def test_each_process_that_counts_quotas_in_postgresql_holds_one_more() -> None:
    assert connection_budget(pool_size=12, workers=4, has_quotas=True).total == 72
