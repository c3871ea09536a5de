"""Who gets an answer as gzip, and that it is the same answer."""

import gzip
from collections.abc import AsyncGenerator

import pytest

from leasehold.core.compression import compressed, compressed_parts, wants_gzip


@pytest.mark.parametrize(
    "accepted",
    ["gzip", "GZIP", "br, gzip", "gzip;q=0.1", "deflate;q=0.5, gzip ; q=1.0 , br", "*", "br;q=0, *;q=0.001", "x-gzip"],
)
def test_whoever_reads_gzip_gets_it(accepted: str) -> None:
    assert wants_gzip([(b"accept-encoding", accepted.encode())])


@pytest.mark.parametrize(
    "accepted",
    ["", "identity", "br, zstd", "gzip;q=0", "gzip;q=0.000", "*;q=0", "*, gzip;q=0", "gzipped", "not-gzip", "gzip;q=a"],
)
def test_whoever_does_not_read_it_does_not(accepted: str) -> None:
    assert not wants_gzip([(b"accept-encoding", accepted.encode("latin-1"))])


def test_whoever_says_nothing_gets_the_answer_as_it_is() -> None:
    assert not wants_gzip([(b"accept", b"gzip")])


def test_a_body_is_the_same_behind_it() -> None:
    body = b"a line of an answer\n" * 5000
    assert gzip.decompress(compressed(body)) == body
    assert len(compressed(body)) < len(body) / 10


async def test_parts_come_as_they_are_made_and_are_the_same_together() -> None:
    given = 0

    async def parts() -> AsyncGenerator[bytes]:
        nonlocal given
        for number in range(50_000):
            given += 1
            yield b"line %d %d\n" % (number, hash(number * 7919))

    seen: list[tuple[int, bytes]] = [(given, part) async for part in compressed_parts(parts())]
    assert gzip.decompress(b"".join(part for _, part in seen)).count(b"\n") == 50_000
    assert len(seen) > 3
    assert seen[1][0] < 50_000


async def test_its_source_is_closed_with_it() -> None:
    closed: list[bool] = []

    async def parts() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield bytes(range(256)) * 400
        finally:
            closed.append(True)

    stream = compressed_parts(parts())
    await anext(stream)
    await stream.aclose()
    assert closed == [True]
