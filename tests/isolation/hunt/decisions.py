"""What a hunter does next. It follows from the seed and the hunter's number alone, whatever was answered so far."""

import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Decision(NamedTuple):
    """One operation."""

    act: str
    tenant: int
    """In which tenant."""
    other: int
    """Another tenant, whose things are tried."""
    server: float
    pick: float
    """Which of those that there are by then, from 0 to 1."""
    more: float
    """What else there is to decide, from 0 to 1."""


def decisions(seed: int, hunter: int, *, tenants: int, weights: Mapping[str, int]) -> Iterator[Decision]:
    """Yield the decisions of one hunter."""
    drawn = random.Random(f"{seed} {hunter}")
    acts = [act for act, weight in sorted(weights.items()) for _ in range(weight)]
    while True:
        act, tenant = drawn.choice(acts), drawn.randrange(tenants)
        other = (tenant + drawn.randrange(1, tenants)) % tenants
        yield Decision(act, tenant, other, drawn.random(), drawn.random(), drawn.random())
