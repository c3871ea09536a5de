"""A test that fails is over, even where a process that it has started and stopped would never end."""

import signal
import subprocess
import sys

import pytest

from tests.processes import outlived


def _fail(standing: subprocess.Popen[str]) -> None:
    with outlived(standing):
        standing.send_signal(signal.SIGSTOP)
        raise LookupError


def test_a_process_that_stands_still_does_not_hold_up_a_test_that_has_failed() -> None:
    waits = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True)
    with pytest.raises(LookupError):
        _fail(waits)
    assert waits.returncode == -signal.SIGKILL
