"""What tenants use of a process, in its memory."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from leasehold.core.usage import UsageBatch, UsageMeter

_ACME, _GLOBEX, _INITECH = UUID(int=1), UUID(int=2), UUID(int=3)
_NOW = datetime(2026, 3, 1, 12, 34, 56, 789, tzinfo=UTC)
_HOUR = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _count(meter: UsageMeter, tenant_id: UUID, *statuses: int) -> None:
    for status in statuses:
        meter.count_request(tenant_id, status=status, received_bytes=10, sent_bytes=100)


def _batch(meter: UsageMeter) -> UsageBatch:
    batch = meter.batch()
    assert batch is not None
    return batch


def _requests(batch: UsageBatch) -> list[tuple[UUID, datetime, int]]:
    return [(hour.tenant_id, hour.starts_at, hour.counts.requests) for hour in batch.hours]


def test_each_tenant_is_counted_for_itself() -> None:
    meter = UsageMeter()
    _count(meter, _GLOBEX, 200)
    _count(meter, _ACME, 200, 204, 404, 422, 503)
    meter.count_transaction(_ACME, 0.25)
    meter.count_transaction(_ACME, 0.5)
    meter.count_transaction(_INITECH, 1.0)
    meter.gather(_NOW)
    batch = _batch(meter)
    assert _requests(batch) == [(_ACME, _HOUR, 5), (_GLOBEX, _HOUR, 1), (_INITECH, _HOUR, 0)]
    acme, globex, initech = (hour.counts for hour in batch.hours)
    assert (acme.refused, acme.errors, acme.database_s) == (2, 1, 0.75)
    assert (acme.received_bytes, acme.sent_bytes) == (50, 500)
    assert (globex.refused, globex.errors, globex.database_s) == (0, 0, 0.0)
    assert (initech.requests, initech.database_s) == (0, 1.0)


def test_nothing_that_was_counted_is_no_batch() -> None:
    meter = UsageMeter()
    meter.gather(_NOW)
    assert meter.batch() is None


def test_what_was_written_is_offered_no_more() -> None:
    meter = UsageMeter()
    _count(meter, _ACME, 200)
    meter.gather(_NOW)
    meter.written(_batch(meter))
    meter.gather(_NOW)
    assert meter.batch() is None


def test_a_batch_that_was_not_written_is_offered_again_as_it_was() -> None:
    meter = UsageMeter()
    _count(meter, _ACME, 200)
    meter.gather(_NOW)
    first = _batch(meter)
    _count(meter, _ACME, 200, 200)
    meter.gather(_NOW)
    assert _batch(meter) is first
    assert _requests(first) == [(_ACME, _HOUR, 1)]
    meter.written(first)
    second = _batch(meter)
    assert (first.number, second.number) == (1, 2)
    assert first.meter_id == second.meter_id
    assert _requests(second) == [(_ACME, _HOUR, 2)]


def test_what_waits_for_long_keeps_its_hours_and_takes_one_place_for_each() -> None:
    meter = UsageMeter()
    _count(meter, _GLOBEX, 200)
    meter.gather(_NOW)
    first = _batch(meter)
    for minute in range(120):
        _count(meter, _ACME, 200)
        meter.gather(_HOUR + timedelta(minutes=minute))
    meter.written(first)
    assert _requests(_batch(meter)) == [(_ACME, _HOUR, 60), (_ACME, _HOUR + timedelta(hours=1), 60)]


def test_two_meters_are_told_apart() -> None:
    batches: list[UsageBatch] = []
    for _ in range(2):
        meter = UsageMeter()
        _count(meter, _ACME, 200)
        meter.gather(_NOW)
        batches.append(_batch(meter))
    assert batches[0].meter_id != batches[1].meter_id


def test_totals_go_on_over_batches_and_name_those_that_have_grown() -> None:
    meter = UsageMeter()
    _count(meter, _ACME, 200)
    _count(meter, _GLOBEX, 500)
    assert {tenant_id: counts.requests for tenant_id, counts in meter.totals()} == {_ACME: 1, _GLOBEX: 1}
    meter.gather(_NOW)
    assert {tenant_id for tenant_id, _ in meter.totals()} == {_ACME, _GLOBEX}
    assert meter.totals() == []
    _count(meter, _ACME, 404, 404)
    meter.gather(_NOW)
    _count(meter, _ACME, 503)
    ((tenant_id, counts),) = meter.totals()
    assert (tenant_id, counts.requests, counts.refused, counts.errors) == (_ACME, 4, 2, 1)
    assert _requests(_batch(meter)) == [(_ACME, _HOUR, 3), (_GLOBEX, _HOUR, 1)]
