"""The URLs of the logins."""

import pytest

from leasehold.tenancy.install import InvalidDatabaseUrl, connect, with_login


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://admin:old@db:5432/postgres", "postgresql://lh_app:new@db:5432/leasehold"),
        ("postgresql://db/postgres", "postgresql://lh_app:new@db/leasehold"),
        ("postgresql://db", "postgresql://lh_app:new@db/leasehold"),
        ("postgresql://a:b@[::1]:5432/x", "postgresql://lh_app:new@[::1]:5432/leasehold"),
        ("postgresql://a:b@db/x?sslmode=require", "postgresql://lh_app:new@db/leasehold?sslmode=require"),
        ("postgresql+asyncpg://a:p%40ss@db/x", "postgresql+asyncpg://lh_app:new@db/leasehold"),
    ],
)
def test_login_and_database_are_replaced_and_all_else_is_kept(url: str, expected: str) -> None:
    assert with_login(url, user="lh_app", password="new", database="leasehold") == expected


def test_what_is_special_in_an_address_is_escaped() -> None:
    made = with_login("postgresql://db/x", user="a@b", password="p:/?#%", database="a/b?c")
    assert made == "postgresql://a%40b:p%3A%2F%3F%23%25@db/a%2Fb%3Fc"


@pytest.mark.parametrize("url", ["nonsense", "mysql://db/x", "postgresql://db:port/x"])
async def test_what_is_no_address_of_a_database_is_refused_as_one(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrl, match=r"^The database URL is not valid; it looks like postgresql://"):
        await connect(url)
