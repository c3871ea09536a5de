"""Which backups are kept: a table of days, and what may never be deleted whatever the times are."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from leasehold.config import keep_of
from leasehold.platform.backups.names import archive_path, marker_path
from leasehold.platform.backups.retention import kept, to_delete
from leasehold.platform.backups.schemas import Backup

ACME = UUID("019ac000-0000-7000-8000-00000000acce")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)  # a Thursday
KEEP = keep_of("all=3d,daily=30d,weekly=26w,monthly=24m")


def whole(at: datetime) -> Backup:
    path = archive_path(ACME, at)
    return Backup(ACME, at, path, path, 100)


def marker(at: datetime, of: Backup) -> Backup:
    return Backup(ACME, at, marker_path(ACME, at, same_as=of.at), of.path, 100)


def at(month: int, day: int, hour: int, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def test_all_are_kept_at_first_then_the_last_of_each_day_week_and_month() -> None:
    of_two_years = [at(1, 1, 3, year=2024) + timedelta(hours=12 * number) for number in range(2121)]

    left = [backup.at for backup in kept([whole(one) for one in of_two_years], KEEP, now=NOW)]

    assert left[:8] == [
        at(11, 26, 3),
        at(11, 25, 15),
        at(11, 25, 3),
        at(11, 24, 15),
        at(11, 24, 3),
        at(11, 23, 15),
        at(11, 22, 15),
        at(11, 21, 15),
    ]
    days = [one for one in left if at(10, 27, 12) < one < at(11, 23, 12)]
    assert days == [at(11, 22, 15) - timedelta(days=number) for number in range(27)]
    assert [one for one in left if at(8, 1, 0) <= one < at(8, 31, 0)] == [
        at(8, 30, 15),
        at(8, 23, 15),
        at(8, 16, 15),
        at(8, 9, 15),
        at(8, 2, 15),
    ]
    assert [one for one in left if one < at(4, 1, 0)] == [
        at(3, 31, 15),
        at(2, 28, 15),
        at(1, 31, 15),
        *[at(month, {2: 28, 4: 30, 6: 30, 9: 30, 11: 30}.get(month, 31), 15, year=2025) for month in range(12, 0, -1)],
        at(12, 31, 15, year=2024),
        at(11, 30, 15, year=2024),
    ]


def test_the_newest_is_kept_however_old_it_is() -> None:
    old = whole(at(1, 1, 3, year=2001))

    assert kept([old, whole(at(1, 1, 2, year=2001))], KEEP, now=NOW) == [old]


def test_an_archive_is_kept_as_long_as_a_marker_that_points_at_it_and_goes_after_it() -> None:
    first = whole(at(1, 1, 3, year=2001))
    pointing = [marker(at(11, day, 3), first) for day in (20, 21, 22)]

    left = kept([first, *pointing], keep_of("all=5d"), now=NOW)

    assert left == [pointing[2]]
    assert to_delete([first, *pointing], left) == [pointing[0].path, pointing[1].path]
    assert to_delete([first, *pointing], []) == [*(one.path for one in pointing), first.path]


def test_a_marker_whose_archive_is_gone_keeps_nothing_and_goes() -> None:
    gone = Backup(ACME, at(11, 26, 3), marker_path(ACME, at(11, 26, 3), same_as=at(1, 1, 3)), "nowhere", 0)
    old = whole(at(1, 1, 2, year=2001))

    left = kept([gone, old], KEEP, now=NOW)

    assert left == [old]
    assert to_delete([gone, old], left) == [gone.path]


_AGES = st.integers(-86_400, 900 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds))


@st.composite
def some_backups(draw: st.DrawFn) -> list[Backup]:
    times = sorted(draw(st.lists(_AGES, min_size=1, max_size=25, unique=True)))
    made: list[Backup] = []
    for one in times:
        archives = [backup for backup in made if not backup.is_marker]
        is_marker = archives and draw(st.booleans())
        made.append(marker(one, draw(st.sampled_from(archives))) if is_marker else whole(one))
    return draw(st.permutations(made))


_KEEPS = st.dictionaries(
    st.sampled_from(["all", "daily", "weekly", "monthly"]),
    st.integers(1, 800).map(lambda days: timedelta(days=days)),
    min_size=1,
)


@given(some_backups(), _KEEPS)
def test_whatever_the_times_the_newest_and_all_that_a_kept_one_needs_stay(
    backups: list[Backup], keep: dict[str, timedelta]
) -> None:
    left = kept(backups, keep, now=NOW)
    gone = set(to_delete(backups, left))

    assert max(backups, key=lambda backup: backup.at) in left
    assert not gone & {path for backup in left for path in (backup.path, backup.archive)}
    assert {backup.path for backup in backups if NOW - backup.at < keep.get("all", timedelta(0))} <= {
        backup.path for backup in left
    }
    still_there = [backup for backup in backups if backup.path not in gone]
    assert all(backup.archive in {one.path for one in still_there} for backup in still_there)
    assert set(to_delete(still_there, kept(still_there, keep, now=NOW))) == set()
