"""Identifiers and their short form."""

import time
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.ids import base62, new_id, parse_short_id, short_id

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = new_id()
    assert type(made) is UUID
    assert made.version == 7


def test_an_id_holds_the_millisecond_in_which_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id().int >> 80 for _ in range(100)]
    after = time.time_ns() // 1_000_000
    assert before <= min(made) <= max(made) <= after + 1


def test_ids_sort_by_when_they_were_made() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made[0].int >> 80 < made[-1].int >> 80, "not made within one millisecond"
    assert all(one.int >> 80 <= other.int >> 80 for one, other in pairwise(made))
    assert sorted(made[::10_000]) == made[::10_000]
    assert sorted(map(str, made)) == list(map(str, sorted(made)))


def test_ids_do_not_repeat() -> None:
    assert len({new_id() for _ in range(20_000)}) == 20_000


@given(st.uuids())
def test_a_short_id_reads_back_as_the_id_that_it_was_made_from(value: UUID) -> None:
    text = short_id(value)
    assert len(text) == 22
    assert set(text) <= set(_LETTERS)
    assert parse_short_id(text) == value


@given(st.uuids(), st.uuids())
def test_short_ids_sort_as_their_ids(one: UUID, other: UUID) -> None:
    assert (short_id(one) < short_id(other)) is (one < other)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (UUID(int=0), "0000000000000000000000"),
        (UUID(int=61), "000000000000000000000z"),
        (UUID(int=62), "0000000000000000000010"),
        (UUID(int=2**128 - 1), "7n42DGM5Tflk9n8mt7Fhc7"),
    ],
)
def test_a_short_id_is_padded_to_22_letters(value: UUID, text: str) -> None:
    assert short_id(value) == text
    assert parse_short_id(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0" * 21,
        "0" * 23,
        "00000000000000000000-0",
        "000000000000000000000 ",
        "000000000000000000000\n",
        "000000000000000000000é",
        "00000000000000000000٣0",
        "7n42DGM5Tflk9n8mt7Fhc8",
        "z" * 22,
    ],
)
def test_a_text_that_names_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"short id|128-bit"):
        parse_short_id(text)


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_checksum_of_32_bits_fits_into_six_letters(number: int) -> None:
    text = base62(number, length=6)
    assert sum(_LETTERS.index(letter) * 62**power for power, letter in enumerate(reversed(text))) == number
