"""All faults, in the order of the table."""

from faults.fault import Fault
from faults.kinds import backends, disks, network, pooler, postgres, processes

ALL: tuple[Fault, ...] = (*postgres.FAULTS, *disks.FAULTS, *backends.FAULTS, *pooler.FAULTS, *network.FAULTS, *processes.FAULTS)
