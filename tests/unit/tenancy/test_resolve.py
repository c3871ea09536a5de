"""Which tenant a request is for."""

import dataclasses
import time
from uuid import UUID

import pytest

from leasehold.core.errors import Problem
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.directory import DirectoryStale, TenantDirectory
from leasehold.tenancy.resolve import (
    TenantInMaintenance,
    TenantMismatch,
    TenantSuspended,
    UnknownTenant,
    hostname_of,
    is_base_host,
    moved_tenant,
    resolve_tenant,
)
from leasehold.tenancy.window import RevisionWindow, TenantNotMigrated

_BASE = "leasehold.test"
_STATES = {
    "acme": TenantState.ACTIVE,
    "globex": TenantState.ACTIVE,
    "asleep": TenantState.SUSPENDED,
    "moving": TenantState.MAINTENANCE,
}
_IDS = {slug: UUID(int=number) for number, slug in enumerate(_STATES, start=1)}
_NOBODY = UUID(int=99)
_WINDOW = RevisionWindow(known=("0001", "0002"), served=("0001", "0002"))


def _tenant(slug: str, state: TenantState) -> TenantRef:
    tenant_id = _IDS.get(slug, _NOBODY)
    return TenantRef(tenant_id, slug, f"t_{tenant_id.hex}", f"lh_t_{tenant_id.hex}", state, "0001")


@pytest.fixture
def directory() -> TenantDirectory:
    made = TenantDirectory(max_age_s=60)
    for slug, state in _STATES.items():
        made.put(_tenant(slug, state), [f"app.{slug}.example"])
    made.confirm(time.monotonic())
    return made


def _resolve(
    directory: TenantDirectory, host: str = _BASE, header: str | None = None, credential: UUID | None = None
) -> str | None:
    tenant = resolve_tenant(
        directory, host=host, base_domain=_BASE, header=header, credential_tenant=credential, window=_WINDOW
    )
    return tenant.slug if tenant else None


@pytest.mark.parametrize("host", [_BASE, "127.0.0.1", "localhost", "::1"])
def test_nothing_names_a_tenant_on_a_base_host(directory: TenantDirectory, host: str) -> None:
    assert _resolve(directory, host) is None


@pytest.mark.parametrize("host", [_BASE, "localhost", "acme.leasehold.test", "app.acme.example"])
@pytest.mark.parametrize("header", [None, "acme", " ACME "])
@pytest.mark.parametrize("credential", [None, _IDS["acme"]])
def test_all_that_agree_name_the_tenant(
    directory: TenantDirectory, host: str, header: str | None, credential: UUID | None
) -> None:
    expected = None if host in {_BASE, "localhost"} and header is None and credential is None else "acme"
    assert _resolve(directory, host, header, credential) == expected


@pytest.mark.parametrize(
    ("host", "header", "credential"),
    [
        ("acme.leasehold.test", "globex", None),
        ("app.acme.example", "globex", None),
        ("acme.leasehold.test", None, _IDS["globex"]),
        ("app.acme.example", None, _IDS["globex"]),
        (_BASE, "acme", _IDS["globex"]),
        ("acme.leasehold.test", "acme", _IDS["globex"]),
        ("acme.leasehold.test", "globex", _IDS["acme"]),
        ("globex.leasehold.test", "acme", _IDS["acme"]),
        ("acme.leasehold.test", None, _IDS["asleep"]),
        ("asleep.leasehold.test", None, _IDS["acme"]),
        ("moving.leasehold.test", "asleep", None),
    ],
)
def test_two_that_disagree_are_refused(
    directory: TenantDirectory, host: str, header: str | None, credential: UUID | None
) -> None:
    with pytest.raises(TenantMismatch):
        _resolve(directory, host, header, credential)


@pytest.mark.parametrize(
    ("host", "header", "credential"),
    [
        ("initech.leasehold.test", None, None),
        ("initech.leasehold.test", "acme", None),
        ("initech.leasehold.test", None, _IDS["acme"]),
        (_BASE, "initech", None),
        (_BASE, "initech", _IDS["acme"]),
        (_BASE, "", None),
        (_BASE, str(_IDS["acme"]), None),
        (_BASE, f"t_{_IDS['acme'].hex}", None),
        (_BASE, None, _NOBODY),
        ("acme.leasehold.test", None, _NOBODY),
        ("acme.leasehold.test", "initech", _IDS["acme"]),
        ("www.acme.leasehold.test", None, None),
        ("acme.elsewhere.test", None, None),
        ("acmeleasehold.test", None, None),
        ("leasehold.test.evil.example", None, None),
        ("acme.example", None, None),
        ("acme", None, None),
        ("", None, None),
        ("", None, _IDS["acme"]),
        ("127.0.0.2", None, None),
        (".leasehold.test", None, None),
    ],
)
def test_what_names_no_tenant_is_unknown(
    directory: TenantDirectory, host: str, header: str | None, credential: UUID | None
) -> None:
    with pytest.raises(UnknownTenant):
        _resolve(directory, host, header, credential)


@pytest.mark.parametrize(
    ("slug", "refusal", "status"), [("asleep", TenantSuspended, 403), ("moving", TenantInMaintenance, 503)]
)
@pytest.mark.parametrize("by", ["host", "domain", "header", "credential"])
def test_a_tenant_that_is_not_served_is_refused_however_it_is_named(
    directory: TenantDirectory, slug: str, refusal: type[Problem], status: int, by: str
) -> None:
    host = {"host": f"{slug}.leasehold.test", "domain": f"app.{slug}.example"}.get(by, _BASE)
    with pytest.raises(refusal) as refused:
        _resolve(directory, host, slug if by == "header" else None, _IDS[slug] if by == "credential" else None)
    assert refused.value.status == status


def test_maintenance_says_when_to_come_back(directory: TenantDirectory) -> None:
    with pytest.raises(TenantInMaintenance) as refused:
        _resolve(directory, "moving.leasehold.test")
    assert refused.value.headers == {"Retry-After": "60"}


@pytest.mark.parametrize("state", [TenantState.VACANT, TenantState.DELETED, TenantState.PURGING, TenantState.PURGED])
def test_a_tenant_in_any_other_state_is_unknown(directory: TenantDirectory, state: TenantState) -> None:
    directory.put(_tenant("gone", state))
    with pytest.raises(UnknownTenant):
        _resolve(directory, "gone.leasehold.test")


@pytest.mark.parametrize("host", [_BASE, "acme.leasehold.test", "initech.leasehold.test"])
def test_a_directory_that_was_not_confirmed_lately_answers_nothing(directory: TenantDirectory, host: str) -> None:
    directory.confirm(time.monotonic() - 61)
    with pytest.raises(DirectoryStale) as refused:
        _resolve(directory, host)
    assert refused.value.status == 503


def test_a_directory_that_was_never_filled_answers_nothing() -> None:
    with pytest.raises(DirectoryStale):
        _resolve(TenantDirectory(max_age_s=10))


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("acme.leasehold.test", "acme.leasehold.test"),
        ("acme.leasehold.test:8000", "acme.leasehold.test"),
        ("ACME.Leasehold.Test", "acme.leasehold.test"),
        ("acme.leasehold.test.", "acme.leasehold.test"),
        ("acme.leasehold.test.:443", "acme.leasehold.test"),
        ("  acme.leasehold.test ", "acme.leasehold.test"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::1]:8000", "::1"),
        ("[2001:DB8::1]:8000", "2001:db8::1"),
        ("", ""),
        (":8000", ""),
    ],
)
def test_a_host_header_is_brought_to_one_form(header: str, host: str) -> None:
    assert hostname_of(header) == host


@pytest.mark.parametrize(
    ("host", "is_base"),
    [
        (_BASE, True),
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("acme.leasehold.test", False),
        ("test", False),
        ("", False),
        ("0.0.0.0", False),
    ],
)
def test_the_base_host_names_the_installation_itself(host: str, is_base: bool) -> None:
    assert is_base_host(host, base_domain=_BASE) is is_base


def test_a_tenant_whose_schema_this_code_cannot_serve_is_refused(directory: TenantDirectory) -> None:
    directory.put(dataclasses.replace(_tenant("acme", TenantState.ACTIVE), revision="0007", served_by="0006"))
    with pytest.raises(TenantNotMigrated):
        _resolve(directory, "acme.leasehold.test")


@pytest.mark.parametrize(
    ("host", "slug"),
    [
        ("old-acme.leasehold.test", "acme"),
        ("acme.leasehold.test", None),
        ("nobody.leasehold.test", None),
        ("old-acme.example", None),
        ("old-acme", None),
        ("www.old-acme.leasehold.test", None),
        (_BASE, None),
        ("", None),
    ],
)
def test_only_the_host_of_a_former_slug_has_moved(directory: TenantDirectory, host: str, slug: str | None) -> None:
    directory.put(_tenant("acme", TenantState.ACTIVE), (), {"old-acme": time.monotonic() + 60})
    moved = moved_tenant(directory, host=host, base_domain=_BASE, window=_WINDOW)
    assert (moved.slug if moved else None) == slug


@pytest.mark.parametrize(
    ("state", "problem"),
    [(TenantState.SUSPENDED, TenantSuspended), (TenantState.MAINTENANCE, TenantInMaintenance)],
)
def test_a_tenant_that_is_refused_where_it_is_now_is_refused_where_it_was(
    directory: TenantDirectory, state: TenantState, problem: type[Problem]
) -> None:
    directory.put(_tenant("acme", state), (), {"old-acme": time.monotonic() + 60})
    with pytest.raises(problem):
        moved_tenant(directory, host="old-acme.leasehold.test", base_domain=_BASE, window=_WINDOW)


def test_a_directory_that_was_not_confirmed_lately_sends_nobody_on(directory: TenantDirectory) -> None:
    directory.put(_tenant("acme", TenantState.ACTIVE), (), {"old-acme": time.monotonic() + 60})
    directory.confirm(time.monotonic() - 61)
    with pytest.raises(DirectoryStale):
        moved_tenant(directory, host="old-acme.leasehold.test", base_domain=_BASE, window=_WINDOW)
