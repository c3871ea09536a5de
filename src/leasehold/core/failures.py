"""What an error may say of itself in a log: where it happened and of what kind it is, and none of its words.

Words of errors repeat values: what could not be parsed, which row was there already, what a key was. Whoever reads the
log has no business with those, and nobody looks through a log for secrets before it is kept for years.
"""

import errno
import sys
import traceback
from collections.abc import Iterator

_MOST_TEXT = 20_000
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"


def kind_of(error: BaseException | None) -> str | None:
    """Return the type of an error, with its SQLSTATE or the name of its system error where it has one."""
    if error is None:
        return None
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    code = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    if code is None and isinstance(error, OSError) and error.errno is not None:
        code = errno.errorcode.get(error.errno)
    return f"{name} ({code})" if code else name


def error_of(exc_info: object) -> BaseException | None:
    """Return the error of a log event, which may be given in any of the ways that Python's logging has."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return next((part for part in exc_info if isinstance(part, BaseException)), None)  # pyright: ignore[reportUnknownVariableType]
    return sys.exc_info()[1] if exc_info else None


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error and of what led to it, with kinds in the place of words."""
    return "".join(_parts(error, set()))[-_MOST_TEXT:]


def _parts(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _parts(before, seen)
        yield _CAUSED if error.__cause__ is not None else _DURING
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{kind_of(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for number, inner in enumerate(error.exceptions, 1):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
            if id(inner) not in seen:  # pyright: ignore[reportUnknownArgumentType]
                yield f"\n{number}. of them:\n"
                yield from _parts(inner, seen)  # pyright: ignore[reportUnknownArgumentType]
