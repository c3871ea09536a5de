"""The parts of an archive that need no database."""

import re
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.tenancy.archive import landing as landing_module
from leasehold.tenancy.archive.landing import landing
from leasehold.tenancy.archive.order import loading_order
from leasehold.tenancy.archive.refusals import AlreadyThere, BeingWritten, Damaged, WrongPassphrase
from leasehold.tenancy.archive.rewrapping import ColumnChange, RowChange
from leasehold.tenancy.archive.sealing import ArchiveKey, KeyDerivation

_CHEAP = KeyDerivation(salt="00" * 16, memory_kib=8, iterations=1, check="")


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(1, 40))
def test_rows_are_changed_alike_in_whatever_pieces_they_come(secrets: list[bytes], size: int) -> None:
    rows = b"".join(b"a\\tb\t\\\\x%s\t\\N\n" % secret.hex().encode() for secret in secrets)
    names: list[str] = []

    def doubled(secret: bytes, name: str) -> bytes:
        names.append(name)
        return secret + secret

    change = RowChange(["name", "wrapped", "other"], [ColumnChange("wrapped", "name", doubled)])
    changed = b"".join(change.feed(rows[start : start + size]) for start in range(0, len(rows), size))
    change.finish()
    assert changed == b"".join(b"a\\tb\t\\\\x%s\t\\N\n" % (secret * 2).hex().encode() for secret in secrets)
    assert names == ["a\tb"] * len(secrets)


@pytest.mark.parametrize("row", [b"a\n", b"a\tx\n", b"a\t\\\\xzz\n", b"\xff\t\\\\x00\n"])
def test_a_row_that_is_none_is_refused(row: bytes) -> None:
    change = RowChange(["name", "wrapped"], [ColumnChange("wrapped", "name", lambda secret, _: secret)])
    with pytest.raises(Damaged):
        change.feed(row)


def test_a_row_that_was_cut_off_is_refused() -> None:
    change = RowChange(["name", "wrapped"], [ColumnChange("wrapped", "name", lambda secret, _: secret)])
    assert change.feed(b"a\t\\N\nb\t") == b"a\t\\N\n"
    with pytest.raises(Damaged, match="the last row of a table is not whole"):
        change.finish()


def test_a_table_comes_behind_those_that_it_refers_to_and_may_refer_to_itself() -> None:
    references = {"b": ["a", "b"], "a": [], "d": ["b", "c"], "c": ["a"]}
    assert loading_order(references) == ["a", "b", "c", "d"]


def test_a_secret_opens_by_its_passphrase_and_purpose_alone_and_is_wrapped_alike_each_time() -> None:
    key, other = ArchiveKey("a horse that nobody names", _CHEAP), ArchiveKey("another horse", _CHEAP)
    wrapped = key.wrap(b"pepper", purpose="tenant 1")
    assert wrapped == key.wrap(b"pepper", purpose="tenant 1")
    assert wrapped != key.wrap(b"pepper", purpose="tenant 2")
    assert key.unwrap(wrapped, purpose="tenant 1") == b"pepper"
    for stranger, purpose in ((key, "tenant 2"), (other, "tenant 1")):
        with pytest.raises(Damaged):
            stranger.unwrap(wrapped, purpose=purpose)


def test_a_passphrase_is_known_again_however_its_letters_are_composed() -> None:
    derivation = ArchiveKey("caf\u00e9 au lait, deux fois", _CHEAP).derivation
    again = ArchiveKey.of("cafe\u0301 au lait, deux fois", derivation)
    assert again.seal(b"x") == ArchiveKey("caf\u00e9 au lait, deux fois", _CHEAP).seal(b"x")
    with pytest.raises(WrongPassphrase):
        ArchiveKey.of("cafe au lait, deux fois", derivation)


@pytest.mark.parametrize(
    "derivation",
    [
        KeyDerivation(salt="00" * 16, memory_kib=2**31, iterations=1, check=""),
        KeyDerivation(salt="00" * 16, memory_kib=8, iterations=10**9, check=""),
        KeyDerivation(salt="no digits", memory_kib=8, iterations=1, check=""),
        KeyDerivation(salt="00", memory_kib=8, iterations=1, check=""),
    ],
)
def test_an_archive_cannot_ask_for_more_work_than_ours_do(derivation: KeyDerivation) -> None:
    with pytest.raises(Damaged):
        ArchiveKey.of("a horse that nobody names", derivation)


def test_a_file_lands_whole_or_not_at_all_and_one_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "a"
    with suppress(ZeroDivisionError), landing(file) as first:
        first.write(b"half")
        with pytest.raises(BeingWritten, match=re.escape(str(file))), landing(file):
            pass
        assert not file.exists()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.partial").write_bytes(b"what a killed one has left, which is longer")
    with landing(file) as second:
        second.write(b"whole")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"whole")]


def test_who_opens_what_another_is_just_finishing_leaves_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, lock = tmp_path / "a", landing_module._lock
    first = ExitStack()
    first.enter_context(landing(file)).write(b"whole")

    def lock_late(descriptor: int, path: Path) -> None:
        first.close()
        lock(descriptor, path)

    monkeypatch.setattr(landing_module, "_lock", lock_late)
    with pytest.raises(AlreadyThere), landing(file):
        pass
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"whole")]


def test_a_file_that_came_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a"
    mine = ExitStack()
    mine.enter_context(landing(file)).write(b"whole")
    file.write_bytes(b"dear")
    with pytest.raises(AlreadyThere):
        mine.close()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"dear")]
