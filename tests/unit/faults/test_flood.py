"""How much a flood was served: by the time in which it asked."""

from faults.flood import rates_of
from faults.journal import Entry


def answered(at: float, status: int = 200) -> Entry:
    return Entry("answered", at, "list", "acme", 1, status=status)


def test_what_is_answered_in_a_second_counts_from_the_first_answer_to_the_last() -> None:
    answers = [answered(100 + step / 10) for step in range(20)] + [answered(102.0, 429)]
    assert rates_of(answers) == (10.0, 0.5)
    assert rates_of(answers[:1]) == rates_of([]) == (0.0, 0.0)
