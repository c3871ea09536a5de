"""What a process remembers of credentials that it looked up, and what it forgets with whom."""

import time
from uuid import UUID

import pytest

import leasehold.tenancy.credentials as module
from leasehold.core.principal import Principal
from leasehold.tenancy.credentials import KnownCredentials
from leasehold.tenancy.directory import KnownSubjects

_ACME, _GLOBEX = UUID(int=1), UUID(int=2)
_KEY, _OWNER, _STRANGER = UUID(int=11), UUID(int=12), UUID(int=13)


def _principal(tenant_id: UUID = _ACME, *, subject: UUID = _KEY, seconds: int = 60) -> Principal:
    return Principal("key", subject, frozenset({"items:read"}), tenant_id, int(time.time()) + seconds)


def _remembered(subjects: KnownSubjects, fingerprint: bytes, principal: Principal) -> None:
    subjects.remember_credential(fingerprint, principal, owner=_OWNER, epoch=subjects.epoch)


def test_a_credential_speaks_for_whom_it_was_remembered() -> None:
    subjects, principal = KnownSubjects(), _principal()
    _remembered(subjects, b"a", principal)
    assert subjects.credential(b"a") is principal
    assert subjects.credential(b"b") is None


def test_a_credential_that_was_found_good_says_that_its_subject_is_active() -> None:
    subjects = KnownSubjects()
    _remembered(subjects, b"a", _principal())
    assert subjects.knows(_ACME, _principal())
    assert not subjects.knows(_ACME, _principal(subject=_OWNER))


@pytest.mark.parametrize("gone", [_KEY, _OWNER])
def test_all_secrets_of_a_key_are_forgotten_with_it_and_with_its_owner(gone: UUID) -> None:
    subjects = KnownSubjects()
    for fingerprint in (b"present", b"former"):
        _remembered(subjects, fingerprint, _principal())
    subjects.forget(_ACME, gone)
    assert subjects.credential(b"present") is None
    assert subjects.credential(b"former") is None


def test_credentials_of_others_and_of_other_tenants_stay() -> None:
    subjects = KnownSubjects()
    _remembered(subjects, b"a", _principal(_ACME))
    _remembered(subjects, b"b", _principal(_GLOBEX))
    subjects.forget(_ACME, _STRANGER)
    assert subjects.credential(b"a") is not None
    subjects.forget(_ACME, _OWNER)
    assert subjects.credential(b"a") is None
    assert subjects.credential(b"b") is not None


def test_what_was_looked_up_before_a_revocation_is_not_remembered_after_it() -> None:
    subjects = KnownSubjects()
    epoch = subjects.epoch
    subjects.forget(_ACME, _OWNER)
    subjects.remember_credential(b"a", _principal(), owner=_OWNER, epoch=epoch)
    assert subjects.credential(b"a") is None
    assert not subjects.knows(_ACME, _principal())


def test_a_listener_that_was_lost_leaves_no_credential() -> None:
    subjects = KnownSubjects()
    _remembered(subjects, b"a", _principal())
    subjects.forget_all()
    assert subjects.credential(b"a") is None


def test_an_expired_credential_is_not_known() -> None:
    known = KnownCredentials()
    known.remember(b"a", _principal(seconds=0), [_KEY])
    assert known.find(b"a") is None
    assert len(known) == 0


def test_a_credential_is_looked_up_again_after_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    known, started = KnownCredentials(), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: started)
    known.remember(b"a", _principal(seconds=3600), [_KEY])
    monkeypatch.setattr(time, "monotonic", lambda: started + 299)
    assert known.find(b"a") is not None
    monkeypatch.setattr(time, "monotonic", lambda: started + 301)
    assert known.find(b"a") is None


def test_the_memory_is_bounded_the_oldest_go_first_and_nothing_of_them_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    known = KnownCredentials()
    for number in range(5):
        known.remember(bytes([number]), _principal(subject=UUID(int=number)), [UUID(int=number), _OWNER])
    assert [number for number in range(5) if known.find(bytes([number]))] == [2, 3, 4]
    known.forget(_ACME, UUID(int=0))
    assert len(known) == 3
    known.forget(_ACME, _OWNER)
    assert len(known) == 0
