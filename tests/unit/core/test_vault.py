"""The installation key."""

import base64

import pytest

from leasehold.core.vault import InstallationKey, InvalidInstallationKey, UnwrapFailed

_TEXT = "lhk_" + base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")


@pytest.fixture
def key() -> InstallationKey:
    return InstallationKey(_TEXT)


def test_what_was_wrapped_is_unwrapped_for_the_same_purpose(key: InstallationKey) -> None:
    assert key.unwrap(key.wrap(b"pepper", purpose="tenant 1"), purpose="tenant 1") == b"pepper"
    assert InstallationKey(_TEXT).unwrap(key.wrap(b"", purpose="tenant 1"), purpose="tenant 1") == b""


def test_what_is_wrapped_twice_looks_different(key: InstallationKey) -> None:
    assert key.wrap(b"pepper", purpose="tenant 1") != key.wrap(b"pepper", purpose="tenant 1")


def test_what_is_wrapped_cannot_be_read(key: InstallationKey) -> None:
    assert b"pepper" not in key.wrap(b"pepper", purpose="tenant 1")


def test_what_was_wrapped_for_one_tenant_is_not_unwrapped_for_another(key: InstallationKey) -> None:
    with pytest.raises(UnwrapFailed):
        key.unwrap(key.wrap(b"pepper", purpose="tenant 1"), purpose="tenant 2")


def test_another_key_does_not_unwrap(key: InstallationKey) -> None:
    with pytest.raises(UnwrapFailed):
        InstallationKey(InstallationKey.generate()).unwrap(key.wrap(b"pepper", purpose="p"), purpose="p")


def test_a_change_of_any_byte_is_noticed(key: InstallationKey) -> None:
    wrapped = key.wrap(b"pepper", purpose="p")
    for place in range(len(wrapped)):
        altered = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
        with pytest.raises(UnwrapFailed):
            key.unwrap(altered, purpose="p")


@pytest.mark.parametrize("length", [0, 7, 8, 12, 27, 33])
def test_what_was_cut_off_is_noticed(key: InstallationKey, length: int) -> None:
    wrapped = key.wrap(b"pepper", purpose="p")
    with pytest.raises(UnwrapFailed):
        key.unwrap(wrapped[:length], purpose="p")


def test_derived_keys_are_of_32_bytes_and_one_for_each_purpose(key: InstallationKey) -> None:
    assert len(key.derive("cursors")) == 32
    assert key.derive("cursors") == InstallationKey(_TEXT).derive("cursors")
    assert key.derive("cursors") != key.derive("tokens")
    assert key.derive("cursors") != InstallationKey(InstallationKey.generate()).derive("cursors")


def test_a_demo_key_is_known_as_one() -> None:
    assert InstallationKey(InstallationKey.generate(demo=True)).is_demo
    assert not InstallationKey(InstallationKey.generate()).is_demo


def test_generated_keys_differ() -> None:
    assert len({InstallationKey.generate() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lhk_",
        "demo_",
        _TEXT.removeprefix("lhk_"),
        _TEXT[:-1],
        _TEXT + "A",
        _TEXT + "AAAA",
        _TEXT + "\n",
        " " + _TEXT,
        _TEXT.upper(),
        "LHK_" + _TEXT.removeprefix("lhk_"),
        "demo_" + _TEXT,
        _TEXT[:-1] + "!",
        _TEXT[:-1] + "é",
        "lhk_" + "A" * 42,
        "change-me",
    ],
)
def test_a_text_that_is_no_key_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInstallationKey, match="LEASEHOLD_INSTALLATION_KEY must be"):
        InstallationKey(text)


def test_what_another_key_wrapped_is_unwrapped_while_that_key_is_known() -> None:
    former = InstallationKey.generate()
    wrapped = InstallationKey(former).wrap(b"pepper", purpose="p")
    assert InstallationKey(_TEXT, others=[former]).unwrap(wrapped, purpose="p") == b"pepper"
    with pytest.raises(UnwrapFailed):
        InstallationKey(_TEXT, others=[former]).unwrap(wrapped, purpose="q")


def test_nothing_is_wrapped_or_derived_by_another_key(key: InstallationKey) -> None:
    both = InstallationKey(_TEXT, others=[InstallationKey.generate()])
    assert key.unwrap(both.wrap(b"pepper", purpose="p"), purpose="p") == b"pepper"
    assert both.derive("cursors") == key.derive("cursors")


def test_what_other_keys_derive_comes_after_the_own(key: InstallationKey) -> None:
    former = InstallationKey.generate()
    both = InstallationKey(_TEXT, others=[former])
    assert both.derived("cursors") == (key.derive("cursors"), InstallationKey(former).derive("cursors"))


def test_a_secret_is_wrapped_anew_once(key: InstallationKey) -> None:
    former = InstallationKey.generate()
    both = InstallationKey(_TEXT, others=[former])
    anew = both.rewrap(InstallationKey(former).wrap(b"pepper", purpose="p"), purpose="p")
    assert anew is not None
    assert key.unwrap(anew, purpose="p") == b"pepper"
    assert both.rewrap(anew, purpose="p") is None


def test_another_key_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInstallationKey):
        InstallationKey(_TEXT, others=["lhk_short"])
