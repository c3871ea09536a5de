"""The refusals that clients see."""

import inspect
import re

import pytest

from leasehold.core import errors
from leasehold.core.errors import Conflict, FieldError, InsufficientScope, Invalid, InvalidToken, NotFound, Problem

_ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Problem)]


class Overdrawn(Conflict):
    """The account {account} lacks
    {missing} coins."""

    type = "overdrawn"
    title = "Overdrawn"


class Wordless(NotFound):
    title = "No words"


def test_the_docstring_is_the_message_on_one_line_with_its_fields_filled() -> None:
    problem = Overdrawn(account="A-1", missing=7)
    assert problem.detail == "The account A-1 lacks 7 coins."
    assert str(problem) == "The account A-1 lacks 7 coins."


def test_a_detail_replaces_the_docstring_and_is_taken_as_it_is() -> None:
    assert Overdrawn("The slug {oops} is reserved.").detail == "The slug {oops} is reserved."


def test_what_a_field_holds_is_not_formatted_again() -> None:
    assert Overdrawn(account="{missing}", missing=7).detail == "The account {missing} lacks 7 coins."


def test_a_field_that_was_forgotten_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError, match="missing"):
        Overdrawn(account="A-1")


def test_a_class_without_a_docstring_says_its_title() -> None:
    assert Wordless().detail == "No words"


def test_faults_and_headers_are_kept() -> None:
    problem = Invalid(errors=[FieldError("/slug", "is taken")], headers={"Retry-After": "1"})
    assert problem.errors == (FieldError("/slug", "is taken"),)
    assert problem.headers == {"Retry-After": "1"}


def test_a_problem_without_faults_and_headers_has_none() -> None:
    assert (NotFound().errors, NotFound().headers) == ((), {})


def test_a_missing_scope_is_named_in_words_and_in_the_challenge() -> None:
    problem = InsufficientScope("items:write")
    assert problem.detail == "The token or key lacks the scope items:write."
    assert problem.headers == {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="items:write"'}


def test_an_invalid_token_is_challenged() -> None:
    assert InvalidToken().headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}


def test_what_is_unavailable_says_when_to_come_back() -> None:
    assert errors.DatabaseUnavailable().headers == {"Retry-After": "1"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.Problem, 400),
        (errors.Unauthenticated, 401),
        (errors.InvalidToken, 401),
        (errors.Forbidden, 403),
        (errors.InsufficientScope, 403),
        (errors.NotFound, 404),
        (errors.Conflict, 409),
        (errors.Invalid, 422),
        (errors.Unavailable, 503),
        (errors.DatabaseUnavailable, 503),
    ],
)
def test_a_class_carries_its_status(kind: type[Problem], status: int) -> None:
    assert kind.status == status


@pytest.mark.parametrize("kind", _ALL)
def test_a_class_has_a_type_for_programs_and_a_title_for_people(kind: type[Problem]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.type)
    assert re.fullmatch(r"[A-Z][A-Za-z -]+", kind.title)
    assert (kind.__doc__ or "").endswith(".")
