"""What the journal and the tables say together: pure functions, no process and no database.

An answer is *definite* when it says what was done: a success, or a refusal before anything was done. It is *unsure*
where the connection broke, nothing came in time, or the answer itself says that nobody knows.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from faults.journal import Entry

UNSURE = frozenset({"outcome-unknown"})
"""Types of problems that say so."""
_WELL = frozenset({200, 201})
_OF_CLIENTS = frozenset({401, 409, 429})
"""Refusals that a client of a service in trouble may meet: its token is over, its own key is in use, it asks a lot."""


@dataclass(frozen=True, slots=True)
class Row:
    """An item as it is in the table."""

    title: str
    description: str


@dataclass(slots=True)
class Verdict:
    """What became of all requests. All that is to be 0 is named in `broken`."""

    requests: int = 0
    acknowledged: int = 0
    """Writes that were answered by success."""
    refused: int = 0
    """Answers 503 with Retry-After."""
    cut: int = 0
    hung: int = 0
    limited: int = 0
    """Answers 429."""
    renewed: int = 0
    """Answers 401, upon which the client gets another token."""
    unsure: int = 0
    """Writes without a definite answer."""
    unsure_done: int = 0
    """Those of them that were done."""
    lost: int = 0
    """Acknowledged writes that are not there, or were not there when they were read."""
    wrong_tenant: int = 0
    """Rows of another tenant, in tables or in answers."""
    twice: int = 0
    """Rows that are there more often than they were asked for."""
    refused_done: int = 0
    """Writes that were refused and are there all the same."""
    bad: Counter[str] = field(default_factory=Counter[str])
    """Answers that nobody is promised to get, such as 500."""

    @property
    def broken(self) -> dict[str, int]:
        """What was promised and not held."""
        figures = {
            "lost": self.lost,
            "wrong tenant": self.wrong_tenant,
            "twice": self.twice,
            "refused, yet done": self.refused_done,
            "no answer": self.hung,
        }
        return {name: count for name, count in figures.items() if count} | dict(self.bad)


def judge(entries: Sequence[Entry], tables: Mapping[str, Sequence[Row]]) -> Verdict:
    """Compare the journal with the tables, by the slug of each tenant."""
    verdict = Verdict()
    rows = {slug: Counter(row.title for row in table) for slug, table in tables.items()}
    changed = {(slug, row.title) for slug, table in tables.items() for row in table if row.description == row.title}
    verdict.wrong_tenant = sum(
        not row.title.startswith(f"{slug}|") for slug, table in tables.items() for row in table
    ) + sum(one.foreign for one in entries)
    verdict.twice = sum(count - 1 for titles in rows.values() for count in titles.values() if count > 1)
    operations: defaultdict[tuple[str, int], list[Entry]] = defaultdict(list)
    for one in entries:
        operations[one.tenant, one.number].append(one)
        _count_answer(verdict, one)
    for (slug, _), entries_of_one in operations.items():
        _judge_write(verdict, entries_of_one, rows[slug], changed, slug)
    return verdict


def _count_answer(verdict: Verdict, one: Entry) -> None:
    match one.event:
        case "sent":
            verdict.requests += 1
        case "cut":
            verdict.cut += 1
        case "hung":
            verdict.hung += 1
        case "answered" if one.status == 503 and one.retry_after.isdigit():
            verdict.refused += 1
        case "answered" if one.status == 429:
            verdict.limited += 1
        case "answered" if one.status == 401:
            verdict.renewed += 1
        case "answered" if one.status == 404 and one.kind in {"read", "change"}:
            verdict.lost += 1  # it was acknowledged before it was asked for
        case "answered" if one.status not in _WELL | _OF_CLIENTS:
            verdict.bad[f"{one.status} {one.problem}".strip()] += 1
        case _:
            pass


def _judge_write(
    verdict: Verdict, entries: Sequence[Entry], rows: Counter[str], changed: set[tuple[str, str]], slug: str
) -> None:
    first = entries[0]
    if first.kind not in {"make", "make_once", "change"}:
        return
    is_done = (slug, first.title) in changed if first.kind == "change" else rows[first.title] > 0
    if any(one.event == "answered" and one.status in _WELL for one in entries):
        verdict.acknowledged += 1
        verdict.lost += not is_done
    elif all(_is_definite(one) for one in entries if one.event != "sent") and _all_answered(entries):
        verdict.refused_done += is_done
    else:
        verdict.unsure += 1
        verdict.unsure_done += is_done


def _is_definite(one: Entry) -> bool:
    return one.event == "answered" and one.problem not in UNSURE and one.status < 504


def _all_answered(entries: Sequence[Entry]) -> bool:
    return sum(one.event == "sent" for one in entries) == sum(one.event != "sent" for one in entries)
