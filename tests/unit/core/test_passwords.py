"""Passwords and their hashes."""

import asyncio
import threading
from collections.abc import Generator

import pytest

from leasehold.core.passwords import CommonPassword, Passwords


class GatedHasher:
    """Stands for argon2: a hash begins, and does not end before the gate is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.peak = 0
        self._running = 0
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        with self._lock:
            self._running += 1
            self.peak = max(self.peak, self._running)
        assert self.gate.wait(60)
        with self._lock:
            self._running -= 1
        return password


class CountingHasher:
    """Notes what is verified, and finds nothing that fits."""

    def __init__(self) -> None:
        self.verified: list[str] = []

    def verify(self, encoded: str, _password: str) -> bool:
        self.verified.append(encoded)
        return True


@pytest.fixture
def passwords() -> Generator[Passwords]:
    made = Passwords(concurrency=2, memory_kib=64, iterations=1)
    yield made
    made.close()


async def test_a_password_matches_its_hash_alone(passwords: Passwords) -> None:
    encoded = await passwords.hash("correct horse battery")
    assert await passwords.matches("correct horse battery", encoded)
    assert not await passwords.matches("correct horse batterz", encoded)
    assert not await passwords.matches("", encoded)


async def test_a_hash_is_argon2id_with_the_given_cost_and_a_salt(passwords: Passwords) -> None:
    encoded = await passwords.hash("correct horse battery")
    assert encoded.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert "correct" not in encoded
    assert await passwords.hash("correct horse battery") != encoded


async def test_any_characters_may_stand_in_a_password(passwords: Passwords) -> None:
    encoded = await passwords.hash("пароль 密码 🔑 \t\0")
    assert await passwords.matches("пароль 密码 🔑 \t\0", encoded)
    assert not await passwords.matches("пароль 密码 🔑 \t", encoded)


@pytest.mark.parametrize("password", ["", "secret", "no account has this password"])
async def test_nothing_matches_where_there_is_no_user(passwords: Passwords, password: str) -> None:
    assert not await passwords.matches(password, None)


@pytest.mark.parametrize("password", ["", "secret", "no account has this password"])
@pytest.mark.parametrize("encoded", ["", "!", "$argon2id$", "secret", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_nothing_matches_what_is_no_hash(passwords: Passwords, password: str, encoded: str) -> None:
    assert not await passwords.matches(password, encoded)


async def test_for_an_unknown_user_a_hash_of_the_same_cost_is_verified(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = CountingHasher()
    monkeypatch.setattr(passwords, "_hasher", hasher)
    assert not await passwords.matches("secret", None)
    assert [encoded.rpartition("$")[0].rpartition("$")[0] for encoded in hasher.verified] == [
        "$argon2id$v=19$m=64,t=1,p=1"
    ]


async def test_no_more_hashes_than_allowed_are_computed_at_once(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = GatedHasher()
    monkeypatch.setattr(passwords, "_hasher", hasher)
    threads_before = set(threading.enumerate())
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(passwords.hash(f"password {number}")) for number in range(8)]
        while hasher.peak < 2:  # what is waited for happens in threads
            await asyncio.sleep(0)
        begun = {thread.name for thread in set(threading.enumerate()) - threads_before}
        hasher.gate.set()
    assert {task.result() for task in tasks} == {f"password {number}" for number in range(8)}
    # The loop begins threads of its own, of whatever else goes on beside.
    assert {name for name in begun if name.startswith("argon2")} == {"argon2_0", "argon2_1"}
    assert hasher.peak == 2


async def test_the_event_loop_goes_on_while_a_hash_is_computed(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = GatedHasher()
    monkeypatch.setattr(passwords, "_hasher", hasher)
    hashing = asyncio.create_task(passwords.hash("secret"))
    await asyncio.sleep(0)
    assert not hashing.done()
    hasher.gate.set()
    assert await hashing == "secret"


@pytest.mark.parametrize(
    "password",
    ["globex2026", "Globex-2026!", "leasehold1", "sam.doe.1", "samglobex", "hanksam1!", "globex.example", "password1"],
)
def test_a_password_that_is_little_more_than_a_name_is_refused(passwords: Passwords, password: str) -> None:
    with pytest.raises(CommonPassword):
        passwords.demand_uncommon(password, about=("sam.doe@globex.example", "Hank", "globex"))


@pytest.mark.parametrize("password", ["correct horse battery", "globex has nine lives", "sam7!xQ2pk", "hzk4wq9t"])
def test_a_name_may_stand_in_a_password_that_has_enough_besides(passwords: Passwords, password: str) -> None:
    passwords.demand_uncommon(password, about=("sam.doe@globex.example", "Hank", "globex", "x", ""))
