"""Which origins a setting names."""

import pytest
from pydantic import TypeAdapter, ValidationError

from leasehold.config import Origins
from leasehold.http.cors import AllowedOrigins


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.com", "http://localhost:5173", "https://acme.shop.test:8443", "https://a.b-c.shop.test:8443"],
)
def test_an_origin_that_is_named_is_allowed(origin: str) -> None:
    origins = AllowedOrigins("https://APP.example.com, http://localhost:5173,https://*.shop.test:8443")
    assert origins.allow(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.test",
        "https://evil.test/app.example.com",
        "https://shop.test:8443",
        "https://evilshop.test:8443",
        "https://.shop.test:8443",
        "https://evil.test#.shop.test:8443",
        "https://evil.test/.shop.test:8443",
        "https://acme.shop.test",
        "https://acme.shop.test:8443\n",
    ],
)
def test_no_other_is(origin: str) -> None:
    assert not AllowedOrigins("https://app.example.com,https://*.shop.test:8443").allow(origin)


def test_all_are_allowed_by_an_asterisk() -> None:
    assert AllowedOrigins("*").allow("https://anybody.test")


@pytest.mark.parametrize(
    "text",
    ["app.example.com", "https://app.example.com/", "https://*", "https://a.*.test", "ftp://a.test", "a b", "**"],
)
def test_what_is_no_origin_is_no_setting(text: str) -> None:
    with pytest.raises(ValidationError, match="an origin looks like"):
        TypeAdapter(Origins).validate_python(text)
