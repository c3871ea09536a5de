"""How many clients a worker accepts."""

import resource

import pytest

from leasehold.cli.serving import max_clients


@pytest.mark.parametrize(
    ("max_files", "expected"),
    [(524_288, 4096), (resource.RLIM_INFINITY, 4096), (4096, 3979), (1024, 907), (64, 1)],
)
def test_clients_never_take_the_files_that_a_worker_needs(max_files: int, expected: int) -> None:
    assert max_clients(pool_size=12, max_files=max_files) == expected
