"""All faults, in the order of the table."""

from faults.fault import Fault
from faults.kinds import backends, clock, crowds, disks, network, pooler, postgres, processes, quotas

ALL: tuple[Fault, ...] = (
    *postgres.FAULTS,
    *disks.FAULTS,
    *backends.FAULTS,
    *pooler.FAULTS,
    *network.FAULTS,
    *quotas.FAULTS,
    *processes.FAULTS,
    *clock.FAULTS,
    *crowds.FAULTS,
)
