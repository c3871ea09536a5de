"""`python -m benchmarks.peers.alembic_usual INI SCHEMA...`: one `upgrade` after another, all in one process.

It prints the seconds that they took, without those that the process needed to start.
"""

import sys
import time
from pathlib import Path

from alembic import command

from benchmarks.peers.alembic_usual import config_for

ini, *schemas = sys.argv[1:]
started = time.perf_counter()
for schema in schemas:
    command.upgrade(config_for(Path(ini), schema), "head")
print(time.perf_counter() - started)
