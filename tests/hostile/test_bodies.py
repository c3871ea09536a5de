"""Bodies and queries, whatever they hold: they become what a route takes, or a refusal that says where."""

import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.errors import Invalid
from leasehold.core.listing.filters import value_of
from leasehold.core.uploads import LONGEST_LINE_BYTES, Upload
from leasehold.core.validation import converted, faults_of
from leasehold.workspace.items.repository import ITEMS
from leasehold.workspace.items.schemas import ItemCreate, ItemLine, ItemPatch
from leasehold.workspace.items.service import changes_of, values_of
from tests.hostile.profiles import ENDURING

_NAMES = st.sampled_from(["title", "description", "status", "owner_id", "tags", "id", "a/b", "~", "~1", ""])
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20), st.just("open")
)
anything = st.recursive(
    _LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_NAMES, inner, max_size=5))
)
near = st.dictionaries(_NAMES, anything, max_size=6)


def _resolved(pointer: str, raw: Any) -> Any:
    """Return what a JSON pointer names (RFC 6901, section 4), None where nothing is."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(raw, dict):
            raw = raw.get(name)
        elif isinstance(raw, list) and name.isdecimal():
            raw = raw[int(name)]
    return raw


@pytest.mark.parametrize("struct", [ItemCreate, ItemPatch, ItemLine])
@ENDURING
@given(raw=st.one_of(anything, near))
def test_a_body_fits_or_its_faults_point_into_it(struct: type[msgspec.Struct], raw: Any) -> None:
    try:
        converted(raw, struct)
    except Invalid as refusal:
        assert refusal.errors
        assert {error.pointer[:1] for error in refusal.errors} <= {"", "/"}
        for error in refusal.errors:
            if error.detail == "is not a known field":
                assert isinstance(raw, dict)
                assert error.pointer[1:].replace("~1", "/").replace("~0", "~") in raw
            elif error.pointer and error.detail != "is missing":
                assert isinstance(raw, dict)
                assert _resolved("/" + error.pointer.split("/")[1], raw) is not None or None in raw.values()
    else:
        assert faults_of(struct, raw) == []


@ENDURING
@given(body=st.one_of(st.binary(), near.map(lambda raw: json.dumps(raw).encode())))
def test_bytes_are_json_or_refused(body: bytes) -> None:
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    faults_of(ItemCreate, raw)


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "title": st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20),
    "description": st.one_of(st.none(), st.just("long")),
    "status": st.sampled_from(["open", "done"]),
    "owner_id": st.one_of(st.none(), st.uuids().map(str)),
    "tags": st.one_of(st.none(), st.just(["oak"])),
}


@ENDURING
@given(patch=st.fixed_dictionaries({}, optional=_VALUES), row=st.fixed_dictionaries(_VALUES))
def test_a_patch_changes_what_it_names_and_nothing_else(patch: dict[str, Any], row: dict[str, Any]) -> None:
    """RFC 7396: what is absent stays, null is what the field is without a value."""
    changes = changes_of(converted(patch, ItemPatch))
    assert changes.keys() == patch.keys()
    without = {"description": "", "owner_id": None, "tags": []}
    for name, value in patch.items():
        found = changes[name]
        assert (str(found) if name == "owner_id" and found else found) == (without[name] if value is None else value)
    assert {**row, **changes}.keys() == row.keys()


@ENDURING
@given(tags=st.lists(st.text(max_size=60), max_size=6))
def test_words_that_are_written_again_are_the_same_words(tags: list[str]) -> None:
    try:
        words = values_of(ItemCreate("Desk", tags=tags))["tags"]
    except Invalid:
        return
    assert values_of(ItemCreate("Desk", tags=words))["tags"] == words
    assert len(set(words)) == len(words)


@ENDURING
@given(lines=st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"", b" ", b"\r", b"{}"])), max_size=30))
async def test_lines_come_as_they_were_sent_with_their_numbers(lines: list[bytes]) -> None:
    body = b"\n".join(lines)
    batches = [one async for one in Upload(io.BytesIO(body), b"").batches()]
    found = [(number, line.rstrip(b"\n")) for batch in batches for number, line in batch]
    told = [(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line and not line.isspace()]
    assert found == told


async def test_a_line_that_is_too_long_is_named_and_nothing_behind_it_is_read() -> None:
    body = io.BytesIO(b"{}\n" + b"a" * (LONGEST_LINE_BYTES + 1) + b"\n{}\n")
    reading = Upload(body, b"").batches()
    assert await anext(reading) == [(1, b"{}\n")]
    with pytest.raises(Invalid) as refused:
        await anext(reading)
    assert refused.value.errors[0].pointer == "line 2"


_PARAMETERS = st.sampled_from(
    [
        "sort",
        "q",
        "tag",
        "status",
        "owner_id",
        "created_at[gte]",
        "updated_at[lt]",
        "updated_at[",
        "limit",
        "cursor",
        "",
    ]
)
_TEXTS = st.one_of(
    st.text(max_size=30), st.sampled_from(["-updated_at", "open", "2026-01-01T00:00:00Z", "2026-01-01", "-", "true"])
)


@ENDURING
@given(query=st.lists(st.tuples(st.one_of(_PARAMETERS, st.text(max_size=9)), _TEXTS), max_size=6))
def test_a_query_asks_what_the_list_has_or_is_refused(query: list[tuple[str, str]]) -> None:
    try:
        asked = ITEMS.asked(query)
    except Invalid as refusal:
        assert all(error.pointer.startswith("?") for error in refusal.errors)
        return
    assert asked.sort in ITEMS.sorts
    assert set(asked.values) <= {*ITEMS.kinds, "q"}
    assert ITEMS.asked(query) == asked


@pytest.mark.parametrize("kind", sorted(set(ITEMS.kinds.values()) | {bool, int}, key=str))
@ENDURING
@given(text=_TEXTS)
def test_a_text_names_a_value_of_a_kind_or_is_refused(kind: Any, text: str) -> None:
    try:
        value = value_of(text, kind)
    except ValueError as error:
        assert str(error)[:1].islower()
    else:
        assert value is not None
