"""What a resource is called."""

import pytest

from scaffold.words import Refused, words_of


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("notes", "note"),
        ("companies", "company"),
        ("addresses", "address"),
        ("boxes", "box"),
        ("invoices", "invoice"),
        ("price_lists", "price_list"),
    ],
)
def test_the_singular_is_found_by_rule(many: str, one: str) -> None:
    assert words_of(many).one == one


@pytest.mark.parametrize("many", ["people", "data", "caches", "statuses", "heroes", "shelves", "glass"])
def test_a_singular_that_no_rule_tells_must_be_said(many: str) -> None:
    with pytest.raises(Refused, match="say it with --one"):
        words_of(many)
    assert words_of(many, "piece").one == "piece"


def test_each_place_has_its_form() -> None:
    assert words_of("order_lines").placeholders() == {
        "many": "order_lines",
        "one": "order_line",
        "a_one": "an_order_line",
        "Many": "OrderLines",
        "One": "OrderLine",
        "MANY": "ORDER_LINES",
        "ONE": "ORDER_LINE",
        "one_words": "order line",
        "many_words": "order lines",
        "a_one_words": "an order line",
        "A_one_words": "An order line",
        "Many_words": "Order lines",
        "path": "order-lines",
    }


@pytest.mark.parametrize(
    "many", ["", "Notes", "notes!", "_notes", "notes_", "big__notes", "notes2", "a/b", "n" * 30 + "s"]
)
def test_what_cannot_be_a_name_is_refused(many: str) -> None:
    with pytest.raises(Refused, match="cannot be a name"):
        words_of(many)


@pytest.mark.parametrize(
    ("many", "one", "reason"),
    [
        ("classes", "class", "keyword"),
        ("types", None, "builtin"),
        ("testimonials", None, "for a test"),
        ("notes", "notes", "must differ"),
        ("notes", "Note", "cannot be a name"),
    ],
)
def test_a_word_that_means_something_else_is_refused(many: str, one: str | None, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        words_of(many, one)
