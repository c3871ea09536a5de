"""What PostgreSQL's programs say when they fail."""

import re

_SERIOUS = re.compile(r"(?:^initdb: error|\b(?:FATAL|PANIC|ERROR)): +(.*)")


def last_meaningful_line(text: str) -> str:
    """The last error of a log or an output, else its last line. What follows an error is its consequence."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    serious = [match[1] for line in lines if (match := _SERIOUS.search(line))]
    return (serious or lines or ["nothing was said"])[-1].rstrip(".")
