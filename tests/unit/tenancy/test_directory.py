"""The tenants in the memory of a process."""

import time
from dataclasses import replace
from uuid import UUID

import pytest

from leasehold.core.principal import Principal
from leasehold.tenancy import directory as module
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.directory import DirectoryStale, KnownSubjects, TenantDirectory


def _tenant(number: int, slug: str) -> TenantRef:
    return TenantRef(UUID(int=number), slug, f"t_{number}", f"lh_t_{number}", TenantState.ACTIVE, "0001")


_ACME, _GLOBEX = _tenant(1, "acme"), _tenant(2, "globex")
_SUBJECT = UUID(int=7)


def _principal(subject: UUID) -> Principal:
    return Principal("user", subject, frozenset({"items:read"}), _ACME.id, 2**31, session_id=UUID(int=8))


_USER = _principal(_SUBJECT)


@pytest.fixture
def directory() -> TenantDirectory:
    made = TenantDirectory(max_age_s=100)
    made.put(_ACME, ["app.acme.example", "acme.example"])
    made.put(_GLOBEX, ["globex.example"])
    return made


def _seen(directory: TenantDirectory, *hostnames: str) -> list[str | None]:
    found = [directory.by_hostname(hostname) for hostname in hostnames]
    return [tenant.slug if tenant else None for tenant in found]


def test_a_tenant_is_found_by_id_slug_and_each_domain(directory: TenantDirectory) -> None:
    assert directory.by_id(UUID(int=1)) is _ACME
    assert directory.by_slug("acme") is _ACME
    assert directory.by_hostname("app.acme.example") is _ACME
    assert directory.by_hostname("acme.example") is _ACME
    assert len(directory) == 2


def test_what_is_not_there_is_not_found(directory: TenantDirectory) -> None:
    assert directory.by_id(UUID(int=3)) is None
    assert directory.by_slug("Acme") is None
    assert directory.by_hostname("initech.example") is None


def test_a_new_state_replaces_the_old_one(directory: TenantDirectory) -> None:
    suspended = replace(_ACME, state=TenantState.SUSPENDED)
    directory.put(suspended, ["acme.example"])
    assert directory.by_id(UUID(int=1)) is suspended
    assert directory.by_slug("acme") is suspended
    assert directory.by_hostname("acme.example") is suspended
    assert len(directory) == 2


def test_a_tenant_that_was_renamed_is_not_found_by_its_old_slug(directory: TenantDirectory) -> None:
    directory.put(replace(_ACME, slug="acme-2"))
    assert directory.by_slug("acme") is None
    assert directory.by_id(UUID(int=1)) is directory.by_slug("acme-2")


@pytest.mark.parametrize("first", [1, 2])
def test_two_tenants_may_swap_their_slugs_in_either_order(directory: TenantDirectory, first: int) -> None:
    swapped = [replace(_ACME, slug="globex"), replace(_GLOBEX, slug="acme")]
    for tenant in swapped if first == 1 else reversed(swapped):
        directory.put(tenant)
    assert directory.by_slug("globex") is swapped[0]
    assert directory.by_slug("acme") is swapped[1]


@pytest.mark.parametrize("first", [1, 2])
def test_a_slug_may_pass_to_another_tenant_in_either_order(directory: TenantDirectory, first: int) -> None:
    renamed, heir = replace(_ACME, slug="acme-2"), replace(_GLOBEX, slug="acme")
    for tenant in (renamed, heir) if first == 1 else (heir, renamed):
        directory.put(tenant)
    assert directory.by_slug("acme") is heir
    assert directory.by_slug("acme-2") is renamed
    assert directory.by_slug("globex") is None


def test_a_domain_that_was_taken_away_is_not_found(directory: TenantDirectory) -> None:
    directory.put(_ACME, ["acme.example"])
    assert _seen(directory, "app.acme.example", "acme.example", "globex.example") == [None, "acme", "globex"]


@pytest.mark.parametrize("first", [1, 2])
def test_a_domain_may_move_to_another_tenant_in_either_order(directory: TenantDirectory, first: int) -> None:
    changes = [(_ACME, ["acme.example"]), (_GLOBEX, ["globex.example", "app.acme.example"])]
    for tenant, hostnames in changes if first == 1 else reversed(changes):
        directory.put(tenant, hostnames)
    assert _seen(directory, "app.acme.example", "acme.example") == ["globex", "acme"]


def test_a_tenant_that_was_removed_is_found_by_nothing(directory: TenantDirectory) -> None:
    directory.remove(UUID(int=1))
    assert directory.by_id(UUID(int=1)) is None
    assert directory.by_slug("acme") is None
    assert _seen(directory, "app.acme.example", "acme.example", "globex.example") == [None, None, "globex"]
    assert len(directory) == 1


def test_removing_what_is_not_there_does_nothing(directory: TenantDirectory) -> None:
    directory.remove(UUID(int=3))
    assert len(directory) == 2


def test_removing_a_tenant_leaves_the_heir_of_its_slug_alone(directory: TenantDirectory) -> None:
    heir = replace(_GLOBEX, slug="acme")
    directory.put(heir)
    directory.remove(UUID(int=1))
    assert directory.by_slug("acme") is heir


def test_replacing_everything_leaves_nothing_of_before(directory: TenantDirectory) -> None:
    initech = _tenant(3, "initech")
    directory.replace_all([(initech, ["initech.example"], {})])
    assert len(directory) == 1
    assert directory.by_slug("initech") is directory.by_id(UUID(int=3)) is initech
    assert directory.by_slug("acme") is None
    assert directory.by_id(UUID(int=1)) is None
    assert _seen(directory, "initech.example", "acme.example") == ["initech", None]


def test_a_former_slug_leads_to_its_tenant_until_its_time_is_over(directory: TenantDirectory) -> None:
    now = time.monotonic()
    directory.put(replace(_ACME, slug="acme-2"), (), {"acme": now + 60, "acme-0": now - 0.001})
    assert directory.by_former_slug("acme") is directory.by_slug("acme-2")
    assert directory.by_former_slug("acme-0") is None
    assert directory.by_former_slug("acme-2") is None
    assert directory.by_slug("acme") is None


@pytest.mark.parametrize("first", [1, 2])
def test_a_slug_that_a_tenant_has_is_nobodys_former_one(directory: TenantDirectory, first: int) -> None:
    changes = [(replace(_ACME, slug="acme-2"), {"acme": time.monotonic() + 60}), (replace(_GLOBEX, slug="acme"), {})]
    for tenant, former_slugs in changes if first == 1 else reversed(changes):
        directory.put(tenant, (), former_slugs)
    assert directory.by_former_slug("acme") is None
    assert directory.by_slug("acme") is directory.by_id(UUID(int=2))


def test_the_former_slugs_of_one_tenant_change_without_those_of_another(directory: TenantDirectory) -> None:
    later = time.monotonic() + 60
    directory.put(_ACME, (), {"acme-0": later, "acme-1": later})
    directory.put(_GLOBEX, (), {"globex-0": later})
    directory.put(_ACME, (), {"acme-1": later})
    found = [directory.by_former_slug(slug) for slug in ("acme-0", "acme-1", "globex-0")]
    assert found == [None, _ACME, _GLOBEX]
    directory.remove(_ACME.id)
    found = [directory.by_former_slug(slug) for slug in ("acme-1", "globex-0")]
    assert found == [None, _GLOBEX]
    directory.replace_all([(_ACME, [], {"acme-0": later})])
    found = [directory.by_former_slug(slug) for slug in ("acme-0", "globex-0")]
    assert found == [_ACME, None]


def test_a_domain_that_another_tenant_has_now_stays_when_its_former_owner_changes_again(
    directory: TenantDirectory,
) -> None:
    directory.put(_GLOBEX, ["globex.example", "acme.example"])
    directory.put(_ACME, ["app.acme.example"])
    directory.remove(_ACME.id)
    assert _seen(directory, "acme.example", "app.acme.example") == ["globex", None]


def test_a_former_slug_that_another_tenant_has_now_stays_when_its_former_owner_changes_again(
    directory: TenantDirectory,
) -> None:
    later = time.monotonic() + 60
    directory.put(_ACME, (), {"initech": later})
    directory.put(_GLOBEX, (), {"initech": later})
    directory.put(_ACME)
    assert directory.by_former_slug("initech") is _GLOBEX


def test_a_tenant_that_was_there_when_everything_was_replaced_is_forgotten_with_all_its_names(
    directory: TenantDirectory,
) -> None:
    directory.replace_all([(_ACME, iter(["acme.example"]), {"acme-0": time.monotonic() + 60})])
    directory.remove(_ACME.id)
    assert _seen(directory, "acme.example") == [None]
    directory.put(_ACME)
    assert _seen(directory, "acme.example") == [None]
    assert directory.by_former_slug("acme-0") is None


def test_a_change_of_one_tenant_looks_at_no_name_of_another() -> None:
    """A changed plan puts all of its tenants at once: if each looked at all, thousands would stop the process."""
    compared: list[int] = []

    class Id(UUID):
        def __eq__(self, other: object) -> bool:
            compared.append(self.int)
            return super().__eq__(other)

        __hash__ = UUID.__hash__

    directory, later = TenantDirectory(max_age_s=10), time.monotonic() + 60
    for number in range(100):
        tenant = replace(_tenant(number, f"t-{number}"), id=Id(int=number))
        directory.put(tenant, [f"{number}.example"], {f"former-{number}": later})
    compared.clear()
    directory.put(_tenant(50, "t-50"), ["50.example"], {"former-50": later})
    directory.remove(UUID(int=50))
    assert set(compared) == {50}


@pytest.mark.parametrize("age_s", [0, 60])
def test_a_directory_that_was_confirmed_lately_is_fresh(directory: TenantDirectory, age_s: float) -> None:
    directory.confirm(time.monotonic() - age_s)
    directory.demand_fresh()


def test_a_directory_is_stale_once_it_is_older_than_it_may_be(directory: TenantDirectory) -> None:
    directory.confirm(time.monotonic() - 100.5)
    with pytest.raises(DirectoryStale):
        directory.demand_fresh()


def test_a_directory_is_stale_until_it_was_confirmed(directory: TenantDirectory) -> None:
    with pytest.raises(DirectoryStale):
        directory.demand_fresh()


def test_filling_a_directory_does_not_confirm_it(directory: TenantDirectory) -> None:
    directory.confirm(time.monotonic() - 101)
    directory.put(_tenant(3, "initech"))
    directory.replace_all([])
    with pytest.raises(DirectoryStale):
        directory.demand_fresh()


def test_a_subject_is_remembered_for_its_tenant_alone() -> None:
    subjects = KnownSubjects()
    subjects.remember(_ACME.id, _USER, epoch=subjects.epoch)
    assert subjects.knows(_ACME.id, _USER)
    assert not subjects.knows(_GLOBEX.id, _USER)


def test_what_was_read_before_a_revocation_is_not_remembered_after_it() -> None:
    subjects = KnownSubjects()
    epoch = subjects.epoch
    subjects.forget(_ACME.id, _SUBJECT)
    subjects.remember(_ACME.id, _USER, epoch=epoch)
    assert not subjects.knows(_ACME.id, _USER)


def test_what_was_read_before_everything_was_forgotten_is_not_remembered_after_it() -> None:
    subjects = KnownSubjects()
    epoch = subjects.epoch
    subjects.forget_all()
    subjects.remember(_ACME.id, _USER, epoch=epoch)
    assert not subjects.knows(_ACME.id, _USER)


def test_what_is_read_after_a_revocation_is_remembered() -> None:
    subjects = KnownSubjects()
    subjects.forget(_ACME.id, _SUBJECT)
    subjects.remember(_ACME.id, _USER, epoch=subjects.epoch)
    assert subjects.knows(_ACME.id, _USER)


def test_forgetting_one_leaves_the_others() -> None:
    subjects = KnownSubjects()
    for tenant in (_ACME, _GLOBEX):
        subjects.remember(tenant.id, _USER, epoch=subjects.epoch)
    subjects.forget(_ACME.id, _SUBJECT)
    assert not subjects.knows(_ACME.id, _USER)
    assert subjects.knows(_GLOBEX.id, _USER)


def test_forgetting_all_leaves_nobody() -> None:
    subjects = KnownSubjects()
    subjects.remember(_ACME.id, _USER, epoch=subjects.epoch)
    subjects.forget_all()
    assert not subjects.knows(_ACME.id, _USER)


def test_the_memory_is_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_SUBJECTS", 3)
    subjects = KnownSubjects()
    for number in range(5):
        subjects.remember(_ACME.id, _principal(UUID(int=number)), epoch=subjects.epoch)
    assert [number for number in range(5) if subjects.knows(_ACME.id, _principal(UUID(int=number)))] == [2, 3, 4]


def test_each_session_and_each_set_of_scopes_is_known_for_itself() -> None:
    subjects = KnownSubjects()
    subjects.remember(_ACME.id, _USER, epoch=subjects.epoch)
    other_session = replace(_USER, session_id=UUID(int=9))
    more_scopes = replace(_USER, scopes=frozenset({"items:read", "items:write"}))
    assert not subjects.knows(_ACME.id, other_session)
    assert not subjects.knows(_ACME.id, more_scopes)
    subjects.remember(_ACME.id, other_session, epoch=subjects.epoch)
    subjects.forget(_ACME.id, _SUBJECT)
    assert not subjects.knows(_ACME.id, _USER)
    assert not subjects.knows(_ACME.id, other_session)


def test_the_sessions_of_one_user_count_towards_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_SUBJECTS", 3)
    subjects = KnownSubjects()
    for number in range(10):
        subjects.remember(_ACME.id, replace(_USER, session_id=UUID(int=number)), epoch=subjects.epoch)
    remembered = [n for n in range(10) if subjects.knows(_ACME.id, replace(_USER, session_id=UUID(int=n)))]
    assert 1 <= len(remembered) <= 3
    assert 9 in remembered
