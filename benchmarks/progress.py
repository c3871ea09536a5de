"""Says how far a measurement has come, beside what it prints as its result."""

import sys


def say(text: str) -> None:
    """Print a line for who waits, to standard error."""
    print(text, file=sys.stderr, flush=True)
