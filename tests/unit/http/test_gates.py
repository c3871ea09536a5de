"""The token in a request's headers."""

import pytest
from litestar.datastructures import Headers

from leasehold.core.errors import InvalidToken
from leasehold.http.gates import bearer_token


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer abc", "abc"), ("BEARER   abc  ", "abc"), ("Bearer a.b.c-_~+/=", "a.b.c-_~+/=")],
)
def test_a_bearer_token_is_found(header: str, token: str) -> None:
    assert bearer_token(Headers({"authorization": header})) == token


def test_without_the_header_there_is_no_token() -> None:
    assert bearer_token(Headers({"x-tenant": "acme"})) is None


@pytest.mark.parametrize("header", ["", " ", "abc", "Bearer", "Bearer ", "Basic abc", "Token abc", "Bearerabc"])
def test_a_header_that_says_something_else_is_refused(header: str) -> None:
    with pytest.raises(InvalidToken):
        bearer_token(Headers({"authorization": header}))
