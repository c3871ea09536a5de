"""What is limited: policies of one or more windows, and what clients are told of them.

The fields are those of draft-ietf-httpapi-ratelimit-headers-11. Times are whole nanoseconds of a clock that the caller
reads, for sums of fractions would let one request too many through.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from leasehold.core.errors import Problem

SECOND = 1_000_000_000
"""Nanoseconds."""

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class QuotaExceeded(Problem):
    """Too many requests; send the next one in {seconds} seconds. RateLimit-Policy says how many are allowed."""

    status = 429
    type = "quota-exceeded"
    title = "Quota exceeded"

    def __init__(self, seconds: int, violated: Sequence[str]) -> None:
        super().__init__(
            seconds=seconds,
            headers={"Retry-After": str(seconds)},
            extensions={"violated-policies": list(violated)},
        )


@dataclass(frozen=True, slots=True)
class Window:
    """So many requests at once, and as many again, evenly spread, in each time of this length."""

    requests: int
    seconds: int

    @property
    def interval(self) -> int:
        """Nanoseconds in which one request is earned."""
        return self.seconds * SECOND // self.requests

    @property
    def capacity(self) -> int:
        """Nanoseconds that a quota lies ahead when it is used up: exactly `requests` intervals."""
        return self.requests * self.interval


@dataclass(frozen=True, slots=True)
class Policy:
    """The windows of one kind of quota, such as that of a client: a request must fit into each of them."""

    name: str
    windows: tuple[Window, ...]
    rates: tuple[tuple[int, int], ...] = field(init=False)
    """Interval and capacity of each window, in nanoseconds."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple((window.interval, window.capacity) for window in self.windows))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its windows, such as `client-10s`, each of which is a policy to the draft."""
        return tuple(f"{self.name}-{_spelt(window.seconds)}" for window in self.windows)


class Limits:
    """The policies that one request must keep, all of them or it uses none."""

    __slots__ = ("_names", "_template", "policies", "policy_header", "rates")

    def __init__(self, *policies: Policy) -> None:
        self.policies = policies
        windows = [window for policy in self.policies for window in policy.windows]
        self.rates = tuple((window.interval, window.capacity) for window in windows)
        """Interval and capacity of each window of all policies, in nanoseconds."""
        self._names = tuple(name for policy in self.policies for name in policy.names)
        named = list(zip(self._names, windows, strict=True))
        self.policy_header = ", ".join(f'"{name}";q={one.requests};w={one.seconds}' for name, one in named).encode()
        """The value of RateLimit-Policy."""
        # Where a request is earned at least every second, `t` is 1 whatever happens, and need not be worked out.
        self._template = ", ".join(
            f'"{name}";r=%d;t={1 if interval <= SECOND else "%d"}'
            for name, (interval, _) in zip(self._names, self.rates, strict=True)
        ).encode()

    def header(self, whole_at: Sequence[int], now: int = 0) -> bytes:
        """Return the value of RateLimit for quotas that will be whole at these moments, in the order of `rates`.

        `t` is when the next request is earned, rounded up: until then there are no more than `r`.
        """
        told: list[int] = []
        for (interval, capacity), at in zip(self.rates, whole_at):  # noqa: B905  # strict costs as much as the rest
            room = capacity + now - at
            told.append(room // interval)
            if interval > SECOND:
                told.append((interval - room % interval + SECOND - 1) // SECOND)
        return self._template % tuple(told)

    def wait(self, whole_at: Sequence[int], now: int = 0) -> int:
        """Return the nanoseconds until there is room in all of these quotas, at most 0 if there is room now."""
        return max(
            at - now + interval - capacity for (interval, capacity), at in zip(self.rates, whole_at, strict=True)
        )

    def refusal(self, whole_at: Sequence[int], now: int = 0) -> QuotaExceeded:
        """Return the refusal of a request for which these quotas have no room."""
        waits = [at - now + interval - capacity for (interval, capacity), at in zip(self.rates, whole_at, strict=True)]
        violated = [name for name, wait in zip(self._names, waits, strict=True) if wait > 0]
        return QuotaExceeded(-(-self.wait(whole_at, now) // SECOND), violated)


def _spelt(seconds: int) -> str:
    return next(f"{seconds // unit}{letter}" for unit, letter in _UNITS if seconds % unit == 0)
