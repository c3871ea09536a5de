"""Archives that were cut off, altered, or made to do harm: one sentence, in little time and memory, before all else.

LEASEHOLD_TEST_LONG makes hypothesis look for longer.
"""

import io
import os
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from leasehold.tenancy.archive.manifest import (
    MANIFEST,
    ArchivedTable,
    ArchivedTenant,
    KeyDerivation,
    Manifest,
    SealedManifest,
)
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.refusals import ArchiveRefused, Damaged
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.writing import ArchiveWriter

PASSPHRASE = "a horse that nobody names"
KEY = ArchiveKey(PASSPHRASE, KeyDerivation(salt="00" * 16, memory_kib=8, iterations=1, check=""))
ROWS = {"users": b"1\tann\n" * 400, "items": bytes(random.Random(1).randbytes(3000)), "notes": b""}
EXAMPLES = 5_000 if os.environ.get("LEASEHOLD_TEST_LONG") else 100
MB = 1_000_000
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def manifest(**changed: Any) -> Manifest:
    tenant = ArchivedTenant(
        UUID(int=7), "acme", "Acme", datetime(2026, 1, 1, tzinfo=UTC), False, "default", {}, {}, {}, ()
    )
    tables = tuple(
        ArchivedTable(name, ("id", "name"), rows.count(b"\n"), len(rows), sha256(rows).hexdigest())
        for name, rows in ROWS.items()
    )
    values: dict[str, Any] = {
        "format": 1,
        "leasehold": "1.0",
        "installation": "00" * 8,
        "made_at": datetime(2026, 1, 1, tzinfo=UTC),
        "tenant": tenant,
        "revision": "0001",
        "key": KEY.derivation,
        "tables": tables,
    }
    return Manifest(**values | changed)


@cache
def archive() -> bytes:
    """An archive as we make it."""
    file = io.BytesIO()
    with ArchiveWriter(file) as writer:
        for name, rows in ROWS.items():
            with writer.member(f"tables/{name}.copy") as write:
                write(rows)
        writer.close_with(manifest(), KEY)
    return file.getvalue()


def sealed(text: bytes) -> bytes:
    return msgspec.json.encode(SealedManifest(msgspec.Raw(text), KEY.seal(text)))


def crafted(path: Path, members: dict[str, bytes], compression: int = ZIP_DEFLATED) -> Path:
    """Write a ZIP of these members."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def read(path: Path) -> dict[str, bytes]:
    """Read all of an archive as an import does."""
    with ArchiveFile(path) as file:
        file.key(PASSPHRASE)
        file.verify()
        return {table.name: b"".join(file.pieces(table)) for table in file.manifest.tables}


def refused(path: Path) -> str:
    """Return the sentence by which an archive is refused, which any terminal can show."""
    with pytest.raises(ArchiveRefused) as refusal:
        read(path)
    return told(refusal.value)


def found_in(path: Path) -> dict[str, bytes] | None:
    """Return all of an archive, None where it is refused."""
    try:
        return read(path)
    except ArchiveRefused as refusal:
        told(refusal)
        return None


def told(refusal: ArchiveRefused) -> str:
    sentence = str(refusal)
    assert sentence.isprintable(), sentence
    assert len(sentence) < 1000
    return sentence


def written(folder: Path, data: bytes) -> Path:
    (folder / "archive").write_bytes(data)
    return folder / "archive"


def test_an_archive_that_nobody_has_touched_is_read(tmp_path: Path) -> None:
    assert read(written(tmp_path, archive())) == ROWS


def test_what_was_cut_off_at_the_end_of_any_member_or_anywhere_else_is_refused(tmp_path: Path) -> None:
    data = archive()
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        starts = [info.header_offset for info in file.infolist()]
        ends = [*starts[1:], file.start_dir]
    anywhere = random.Random(9).sample(range(len(data)), 40)
    for size in {0, 1, *starts, *ends, *(end - 1 for end in ends), *anywhere, len(data) - 1}:
        assert "was cut off or altered" in refused(written(tmp_path, data[:size])), size


@FUZZ
@given(st.data())
def test_one_altered_bit_is_refused_or_changes_nothing_that_is_read(tmp_path: Path, data: st.DataObject) -> None:
    altered = bytearray(archive())
    place = data.draw(st.integers(0, len(altered) - 1))
    altered[place] ^= 1 << data.draw(st.integers(0, 7))
    assert found_in(written(tmp_path, bytes(altered))) in (None, ROWS)


@FUZZ
@given(st.data())
def test_an_archive_that_was_cut_up_and_put_together_otherwise_is_refused_or_equal(
    tmp_path: Path, data: st.DataObject
) -> None:
    altered = archive()
    places = st.integers(0, len(altered)) | st.integers(len(altered) - 500, len(altered))
    nasty = st.binary(max_size=8) | st.sampled_from(
        [b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"\xff" * 8, b"\0" * 8]
    )
    for _ in range(data.draw(st.integers(1, 4))):
        start, end = sorted((data.draw(places), data.draw(places)))
        end = data.draw(st.sampled_from([start, min(end, start + 8), end]))
        altered = altered[:start] + data.draw(nasty) + altered[end:]
    assert found_in(written(tmp_path, altered)) in (None, ROWS)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@FUZZ
@given(st.data())
def test_a_manifest_that_says_anything_else_is_refused_or_equal(tmp_path: Path, data: st.DataObject) -> None:
    """With the right seal: whoever made it knows the passphrase."""
    told = msgspec.json.decode(msgspec.json.encode(manifest()))
    place: Any = told
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(_JSON)
    path = crafted(tmp_path / "archive", _with(sealed(msgspec.json.encode(told))))
    found = found_in(path)
    assert found is None or found.items() <= ROWS.items()


@FUZZ
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b'{"manifest":' + b"[" * 100_000)
@example(b'{"manifest":{"format":1,"leasehold":"1","x":' + b'{"a":' * 100_000)
@example(b'{"manifest":{"format":1,"leasehold":"1"},"mac":"\\ud800"}')
@example(b'{"manifest":{"format":9,"leasehold":"\\u001b[2J\\n"},"mac":""}')
def test_whatever_stands_in_the_place_of_the_manifest_is_refused(tmp_path: Path, text: bytes) -> None:
    refused(crafted(tmp_path / "archive", _with(text)))


def _with(text: bytes) -> dict[str, bytes]:
    return {f"tables/{name}.copy": rows for name, rows in ROWS.items()} | {MANIFEST: text}


def _deep(folder: Path) -> Path:
    text = msgspec.json.encode(manifest()).replace(b'"limits":{}', b'"limits":' + b"[" * 50_000 + b"]" * 50_000)
    return crafted(folder / "archive", _with(sealed(text)))


def _twice(folder: Path) -> Path:
    tables = manifest().tables
    return crafted(folder / "archive", _with(sealed(msgspec.json.encode(manifest(tables=tables * 2)))))


def _many(folder: Path) -> Path:
    table = manifest().tables[0]
    tables = tuple(msgspec.structs.replace(table, name=f"../../{number}") for number in range(50_000))
    return crafted(folder / "archive", _with(sealed(msgspec.json.encode(manifest(tables=tables)))))


def _overlapping(folder: Path) -> Path:
    """A thousand members that are the same bytes of the file, each of which becomes a hundred megabytes."""
    table = msgspec.structs.replace(manifest().tables[0], bytes=len(_zeros()))
    tables = tuple(msgspec.structs.replace(table, name=f"{number:04}") for number in range(1000))
    text = sealed(msgspec.json.encode(manifest(tables=tables)))
    path = crafted(folder / "archive", {"tables/0000.copy": _zeros(), MANIFEST: text})
    with zipfile.ZipFile(path, "a") as file:
        one = file.getinfo("tables/0000.copy")
        for table in tables[1:]:
            other = copy(one)
            other.filename = table.member
            file.filelist.append(other)
        file._didModify = True  # type: ignore[attr-defined]  # the directory is written anew
    return path


def _crowded(folder: Path) -> Path:
    return crafted(folder / "archive", {f"tables/{number}.copy": b"" for number in range(30_000)} | _with(b"{}"))


def _bomb(folder: Path) -> Path:
    """A table of which the manifest says that it has two kilobytes."""
    return crafted(folder / "archive", _with(sealed(msgspec.json.encode(manifest()))) | {"tables/users.copy": _zeros()})


def _bomb_that_lies(folder: Path) -> Path:
    """A member whose headers too say that it has one kilobyte."""
    path = _bomb(folder)
    data = path.read_bytes().replace(len(_zeros()).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path.write_bytes(data)
    return path


def _bomb_of_a_manifest(folder: Path) -> Path:
    return crafted(folder / "archive", _with(_zeros().replace(b"\0", b" ")))


@cache
def _zeros() -> bytes:
    return bytes(100 * MB)


@pytest.mark.parametrize(
    "made",
    [_deep, _twice, _many, _crowded, _bomb, _bomb_that_lies, _bomb_of_a_manifest],
    ids=lambda made: made.__name__.strip("_"),
)
def test_what_was_made_to_do_harm_is_refused_in_little_memory(made: Callable[[Path], Path], tmp_path: Path) -> None:
    path = made(tmp_path)
    tracemalloc.start()
    try:
        sentence = refused(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sentence.startswith("The archive was cut off or altered, or is none: ")
    assert peak < 64 * MB


def test_more_than_a_file_can_hold_is_refused_before_any_of_it_is_read(tmp_path: Path) -> None:
    assert refused(_overlapping(tmp_path)).endswith(": it cannot hold as much as it says.")


@pytest.mark.parametrize("compression", [ZIP_BZIP2, ZIP_LZMA])
def test_no_other_compression_is_undone(compression: int, tmp_path: Path) -> None:
    members = _with(sealed(msgspec.json.encode(manifest())))
    assert read(crafted(tmp_path / "stored", members, ZIP_STORED)) == ROWS
    assert refused(crafted(tmp_path / "archive", members, compression)).endswith("in a way that no archive is.")


def test_a_table_whose_name_says_another_place_is_refused(tmp_path: Path) -> None:
    tables = (msgspec.structs.replace(manifest().tables[0], name='../"; DROP \x1b[2J\n'),)
    sentence = refused(crafted(tmp_path / "archive", _with(sealed(msgspec.json.encode(manifest(tables=tables))))))
    assert sentence == "The archive was cut off or altered, or is none: a part of it is missing."
    with pytest.raises(Damaged, match=r'^The archive was cut off or altered, or is none: x" \[2J y\.$'):
        raise Damaged(reason='x"\x1b[2J\n\ny')
