"""Python runs this before anything else where its folder is on PYTHONPATH: the wall clock then stands in a file.

Monotonic clocks stay as they are: no clock that is set makes them jump. Not libfaketime, in which `time.sleep` of
Python 3.11 fails, and under which event loops stand still for seconds.
"""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from leasehold.core import clock

_FILE = Path(os.environ["FAULTS_CLOCK"])
_right_time = time.time


def _jumped_time() -> float:
    return _right_time() + float(_FILE.read_text())


def _jumped_now() -> datetime:
    return datetime.fromtimestamp(_jumped_time(), UTC)


time.time = _jumped_time
clock.utc_now = _jumped_now
