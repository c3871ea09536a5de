"""The quotas that one process counts by itself: a few additions in memory, no lock and nothing to wait for."""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from leasehold.core.quotas.limits import Limits, Policy

KeptT = TypeVar("KeptT")

MOST_REMEMBERED = 32_768
"""How many a process remembers of a kind at least, those used last; it never holds more than twice as many."""


class Recent(Generic[KeptT]):
    """Remembers what was used lately, in two generations: the older one is dropped as a whole, at no cost by the way.

    What is forgotten of a quota was not used while `most` others were, and is whole again then, or nearly.
    """

    __slots__ = ("_most", "_newer", "_older")

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._newer: dict[Hashable, KeptT] = {}
        self._older: dict[Hashable, KeptT] = {}

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def get(self, key: Hashable) -> KeptT | None:
        """Return what is remembered under a key."""
        kept = self._newer.get(key)
        if kept is None and self._older:
            kept = self._older.pop(key, None)
            if kept is not None:
                self.keep(key, kept)
        return kept

    def keep(self, key: Hashable, kept: KeptT) -> None:
        """Remember something under a key."""
        if len(self._newer) >= self._most:
            self._older, self._newer = self._newer, {}
        self._newer[key] = kept


class Quota:
    """One quota: when each of its windows will be whole again, in nanoseconds of the caller's clock."""

    __slots__ = ("policy", "whole_at")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.whole_at = [0] * len(policy.windows)


class ProcessQuotas:
    """The quotas of all who ask one process. For one thread, as an event loop is."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        # One for each kind, lest those of many addresses put tenants out.
        self._quotas: dict[str, Recent[Quota]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._quotas.values()))

    def take(self, limits: Limits, keys: Sequence[Hashable], now: int) -> tuple[bool, list[int]]:
        """Take one request out of the quota of each key, if all have room: say whether, and when they are whole again.

        The keys are in the order of the policies. A quota whose policy has changed is whole.
        """
        taken: list[int] = []
        changes: list[tuple[Quota, list[int]]] = []
        for policy, key in zip(limits.policies, keys):  # noqa: B905  # strict costs as much as the rest
            quota = self._quota(policy, key)
            changed: list[int] = []
            for (interval, capacity), at in zip(policy.rates, quota.whole_at):  # noqa: B905
                whole_at = (at if at > now else now) + interval  # noqa: FURB136  # a call costs more
                if whole_at - now > capacity:
                    return False, self._whole_at(limits, keys, now)
                changed.append(whole_at)
            changes.append((quota, changed))
            taken += changed
        for quota, changed in changes:
            quota.whole_at = changed
        return True, taken

    def refused(self, limits: Limits, keys: Sequence[Hashable], now: int) -> list[int] | None:
        """Return when quotas are whole again of which one has no room, None where all have. Nothing is taken."""
        whole_at = self._whole_at(limits, keys, now)
        return whole_at if limits.wait(whole_at, now) > 0 else None

    def _whole_at(self, limits: Limits, keys: Sequence[Hashable], now: int) -> list[int]:
        quotas = [self._quota(policy, key) for policy, key in zip(limits.policies, keys, strict=True)]
        return [max(at, now) for quota in quotas for at in quota.whole_at]

    def _quota(self, policy: Policy, key: Hashable) -> Quota:
        recent = self._quotas.get(policy.name)
        if recent is None:
            recent = self._quotas[policy.name] = Recent(self._most)
        quota = recent.get(key)
        # Not `!=` alone: it compares every field, and mostly it is the same object.
        if quota is None or (quota.policy is not policy and quota.policy != policy):
            quota = Quota(policy)
            recent.keep(key, quota)
        return quota
