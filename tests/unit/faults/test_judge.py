"""What the journal and the tables say together: each promise, broken on purpose."""

from faults.journal import Entry, Event, Kind
from faults.judge import Row, judge


def wrote(event: Event, number: int = 1, *, kind: Kind = "make", attempt: int = 1, **more: object) -> list[Entry]:
    """Return the lines of one attempt to write."""
    facts: dict[str, object] = {"kind": kind, "tenant": "acme", "number": number, "attempt": attempt}
    facts["title"] = f"acme|{number}"
    return [Entry("sent", 1.0, **facts), Entry(event, 2.0, **facts, **more)]  # type: ignore[arg-type]


def made(*numbers: int, description: str = "") -> dict[str, list[Row]]:
    return {"acme": [Row(f"acme|{number}", description) for number in numbers], "globex": []}


ACKNOWLEDGED = wrote("answered", status=201)
REFUSED = wrote("answered", status=503, problem="database-unavailable", retry_after="1")
UNKNOWN = wrote("answered", status=503, problem="outcome-unknown", retry_after="1")


def test_all_that_was_acknowledged_is_there() -> None:
    verdict = judge(ACKNOWLEDGED, made(1))
    assert (verdict.requests, verdict.acknowledged, verdict.broken) == (1, 1, {})


def test_an_acknowledged_write_that_is_not_there_is_lost() -> None:
    assert judge(ACKNOWLEDGED, made()).broken == {"lost": 1}


def test_an_acknowledged_change_that_is_not_there_is_lost() -> None:
    changed = wrote("answered", kind="change", status=200)
    assert judge(changed, made(1, description="acme|1")).broken == {}
    assert judge(changed, made(1, description="")).broken == {"lost": 1}


def test_what_was_acknowledged_and_then_not_found_is_lost() -> None:
    read = wrote("answered", kind="read", status=404, problem="not-found")
    assert judge(read, made(1)).broken == {"lost": 1}


def test_a_row_of_another_tenant_is_seen_in_a_table_and_in_an_answer() -> None:
    assert judge([], {"acme": [], "globex": [Row("acme|1", "")]}).broken == {"wrong tenant": 1}
    assert judge(wrote("answered", kind="list", status=200, foreign=2), made()).broken == {"wrong tenant": 2}


def test_a_write_that_was_refused_must_not_be_done() -> None:
    assert judge(REFUSED, made()).broken == {}
    assert judge(REFUSED, made(1)).broken == {"refused, yet done": 1}


def test_a_write_is_unsure_where_the_answer_says_so_or_there_is_none() -> None:
    for entries in (UNKNOWN, wrote("cut"), ACKNOWLEDGED[:1]):
        for rows in (made(), made(1)):
            verdict = judge(entries, rows)
            assert (verdict.unsure, verdict.unsure_done, verdict.broken) == (1, len(rows["acme"]), {})


def test_a_write_with_a_key_that_was_repeated_until_it_succeeded_is_done_once() -> None:
    entries = [
        *wrote("cut", kind="make_once"),
        *wrote("answered", kind="make_once", attempt=2, status=201),
    ]
    assert judge(entries, made(1)).broken == {}
    assert judge(entries, made(1, 1)).broken == {"twice": 1}


def test_only_503_with_retry_after_is_an_answer_of_a_service_in_trouble() -> None:
    entries = [
        *wrote("answered", 1, kind="list", status=500, problem="internal-error"),
        *wrote("answered", 2, kind="list", status=503),
        *wrote("answered", 3, kind="list", status=429),
        *wrote("hung", 4, kind="list"),
    ]
    assert judge(entries, made()).broken == {"no answer": 1, "500 internal-error": 1, "503": 1}


def test_those_who_ask_too_much_are_counted() -> None:
    assert judge(wrote("answered", status=429, retry_after="1"), made()).limited == 1
