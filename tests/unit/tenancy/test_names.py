"""Slugs, hostnames, and the names of schemas and roles."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.tenancy.names import (
    RESERVED_SLUGS,
    InvalidHostname,
    InvalidSlug,
    check_hostname,
    check_slug,
    literal,
    quoted,
    reference_role,
    role_name,
    schema_name,
)

_TENANT = UUID("0199a1f0-0000-7000-8000-00000000abcd")


@pytest.mark.parametrize("slug", ["a", "z9", "acme", "acme-2", "a-b-c", "a1-b2", "wwww", "apis", "a" * 63])
def test_a_dns_label_in_lower_case_is_a_slug(slug: str) -> None:
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "A",
        "Acme",
        "acmE",
        "a" * 64,
        "1acme",
        "-acme",
        "acme-",
        "-",
        "a--b",
        "xn--bcher-kva",
        "a_b",
        "a.b",
        "a b",
        " acme",
        "acme ",
        "acme\n",
        "acme\0",
        "acme'",
        'acme"',
        "acme`",
        "a/b",
        "a\\b",
        "a%b",
        "acme;drop",
        "a'; DROP SCHEMA platform CASCADE; --",
        '"; SET ROLE lh_owner; --',
        "café",
        "\u0430cme",
        "acm\u0435",
        "\uff41cme",
        "a٣",
        "straße",
        "\u017f",
        "🦊",
    ],
)
def test_anything_else_is_refused_with_a_pointer(slug: str) -> None:
    with pytest.raises(InvalidSlug) as refused:
        check_slug(slug)
    assert refused.value.status == 422
    assert refused.value.errors[0].pointer == "/slug"


@pytest.mark.parametrize(
    "slug", ["www", "api", "app", "platform", "admin", "public", "oauth", "health", "docs", "mail"]
)
def test_a_reserved_slug_is_refused_by_name(slug: str) -> None:
    with pytest.raises(InvalidSlug, match=f"^The slug {slug} is reserved[.]$") as refused:
        check_slug(slug)
    assert refused.value.errors[0].detail == f"The slug {slug} is reserved."


def test_every_reserved_slug_would_be_one_otherwise() -> None:
    assert len(RESERVED_SLUGS) > 30
    for slug in RESERVED_SLUGS:
        with pytest.raises(InvalidSlug, match="is reserved"):
            check_slug(slug)


@given(st.text(max_size=70))
def test_what_is_accepted_is_always_a_dns_label(text: str) -> None:
    try:
        slug = check_slug(text)
    except InvalidSlug:
        return
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 1 <= len(slug) <= 63
    assert slug[0].isalpha()
    assert slug[-1] != "-"


@pytest.mark.parametrize(
    "hostname",
    [
        "a.bc",
        "app.acme.example",
        "a-b.acme.co",
        "1.acme.example",
        "xn--bcher-kva.example",
        "a.xn--p1ai",
        "a" * 63 + ".io",
    ],
)
def test_a_full_domain_name_is_a_hostname(hostname: str) -> None:
    assert check_hostname(hostname, base_domain="leasehold.test") == hostname


@pytest.mark.parametrize(
    "hostname",
    [
        "",
        "acme",
        "localhost",
        "acme.example.",
        ".acme.example",
        "acme..example",
        "App.acme.example",
        "acme.example:443",
        "https://acme.example",
        "acme.example/x",
        "-acme.example",
        "acme-.example",
        "a_b.example",
        "*.acme.example",
        "acme example.com",
        "acme.example\n",
        "127.0.0.1",
        "[::1]",
        "::1",
        "acme.1",
        "bücher.example",
        "a" * 64 + ".io",
        ".".join(["a" * 63] * 4) + ".io",
        "acme.example'--",
        "leasehold.test",
        "acme.leasehold.test",
        "www.acme.leasehold.test",
    ],
)
def test_any_other_name_and_those_of_the_installation_are_refused_with_a_pointer(hostname: str) -> None:
    with pytest.raises(InvalidHostname) as refused:
        check_hostname(hostname, base_domain="leasehold.test")
    assert refused.value.errors[0].pointer == "/hostname"


def test_schema_and_role_come_from_the_id() -> None:
    assert schema_name(_TENANT) == "t_0199a1f000007000800000000000abcd"
    assert role_name(_TENANT) == "lh_t_0199a1f000007000800000000000abcd"


def test_each_database_has_a_reference_role_of_its_own() -> None:
    assert reference_role(16384) == "lh_reference_16384"


@pytest.mark.parametrize(
    ("identifier", "sql"),
    [("items", '"items"'), ("Items", '"Items"'), ('a"b', '"a""b"'), ('"; DROP', '"""; DROP"'), ("", '""')],
)
def test_an_identifier_is_quoted(identifier: str, sql: str) -> None:
    assert quoted(identifier) == sql


@pytest.mark.parametrize(
    ("text", "sql"), [("secret", "'secret'"), ("it's", "'it''s'"), ("'; DROP", "'''; DROP'"), ("", "''")]
)
def test_a_literal_is_quoted(text: str, sql: str) -> None:
    assert literal(text) == sql


@pytest.mark.parametrize("text", ["a\\b", "\\'", "a\0b"])
def test_a_literal_that_needs_escapes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="backslashes and NUL"):
        literal(text)
