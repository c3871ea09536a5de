"""`python -m tests.faults.errand_worker`: `leasehold worker` as it is, which knows the errands too and soon takes
others for dead.
"""

import sys

from leasehold.cli import main
from leasehold.tenancy.jobs import queue
from leasehold.tenancy.jobs.definition import by_name
from leasehold.worker import running, worker
from tests.faults.errands import ERRANDS

_LEASE_S = 1.5

if __name__ == "__main__":
    queue.LEASE_S = _LEASE_S
    worker._BEAT_S = worker._SWEEP_S = _LEASE_S / 5  # pyright: ignore[reportPrivateUsage]
    running.JOBS = by_name((*running.JOBS.values(), *ERRANDS))
    sys.argv = ["leasehold", "worker", "--jobs=6", "--port=0"]
    main()
