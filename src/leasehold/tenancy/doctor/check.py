"""A check: one question about an installation, and the kinds of findings that its answer can have."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site


@dataclass(frozen=True, slots=True)
class Check:
    """One question. Its name is how a person chooses it."""

    name: str
    asks: str
    kinds: tuple[Kind, ...]
    find: Callable[[Site], Awaitable[list[Finding]]]
    needs_platform: bool = True
    """Whether there is nothing to ask before the shared schema is migrated."""
