"""What may be asked of items: bodies, headers and query strings for tests that make them up."""

from typing import Any

from hypothesis import strategies as st

Body = dict[str, Any]

_TEXTS = st.lists(st.sampled_from(["desk", "oak", "lamp"]), min_size=1, max_size=3).map(" ".join)
_TAGS = st.lists(st.sampled_from(["oak", " Oak ", "red", "RED", "old"]), max_size=4)
STATUSES = st.sampled_from(["open", "done", "archived"])
OWNERS = st.sampled_from(["active", "disabled", "strange"])
"""Users by what they are; a test puts an id in their place."""
NEW: st.SearchStrategy[Body] = st.fixed_dictionaries(
    {"title": _TEXTS},
    optional={"description": _TEXTS, "status": STATUSES, "owner_id": st.none() | OWNERS, "tags": _TAGS},
)
PATCHES: st.SearchStrategy[Body] = st.fixed_dictionaries(
    {},
    optional={
        "title": _TEXTS,
        "description": st.none() | _TEXTS,
        "status": STATUSES,
        "owner_id": st.none() | OWNERS,
        "tags": st.none() | _TAGS,
    },
)
WRONG: st.SearchStrategy[Body] = st.sampled_from(
    [
        {"title": ""},
        {"title": None},
        {"title": "desk", "status": None},
        {"title": "desk", "tags": ["oak", " "]},
        {"title": "desk", "created_at": "2026-01-01T00:00:00Z"},
        {"title": "desk", "owner_id": "nobody"},
    ]
)
"""What is neither a new item nor a patch."""
KEYS = st.none() | st.sampled_from(["one", "two", "three"])
IF_MATCH = st.sampled_from(["current", "absent", "among others", "any", "former", "weak", "unread"])
VERSIONS = st.sampled_from(["current", "absent", "former"])
QUERIES: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {"sort": st.sampled_from(["created_at", "-created_at", "updated_at", "-updated_at"])},
    optional={
        "status": STATUSES,
        "owner_id": OWNERS,
        "tag": st.sampled_from(["oak", "red"]),
        "q": st.sampled_from(["desk", "oak lamp"]),
    },
)
BOUNDS = st.none() | st.tuples(
    st.sampled_from(["created_at", "updated_at"]), st.sampled_from(["gte", "gt", "lte", "lt"]), st.integers(0, 5)
)
"""A side of a range of time: that of the item at a place among all there are."""
