"""`leasehold keys`: what it prints, what it refuses, and that a killed rotation is finished by the next."""

import base64
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable

import psycopg
import pytest

from leasehold.core.vault import InstallationKey, UnwrapFailed
from leasehold.tenancy.signing import signing_key_purpose
from leasehold.workspace.auth.pepper import secret_purpose
from tests.integration.cli.shell import PROJECT, Environment, leasehold, refusal_of, succeeded

_TENANTS = 230
SEEDS = 12 if "LEASEHOLD_TEST_LONG" in os.environ else 2
_SECRETS = _TENANTS + 2


@pytest.fixture(scope="session")
def keyed(new_database: Callable[[str], Environment], provision: Callable[..., None]) -> Environment:
    """An installation with a few tenants."""
    env = new_database("keys")
    provision(env, "acme", "globex")
    return env


@pytest.fixture
def env(keyed: Environment) -> Environment:
    """The same before its first start."""
    with psycopg.connect(keyed["LEASEHOLD_OWNER_URL"]) as owner:
        owner.execute("DELETE FROM platform.signing_keys")
    return keyed


@pytest.fixture(scope="session")
def fleet(new_database: Callable[[str], Environment], provision: Callable[..., None]) -> Environment:
    """An installation with so many tenants that a rotation can be killed in the middle."""
    env = new_database("many_keys")
    provision(env, *(f"t{number}" for number in range(_TENANTS)))
    succeeded(leasehold("keys", "rotate", "--now", env=env))
    succeeded(leasehold("keys", "rotate", env=env))
    return env


def listed(env: Environment) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(succeeded(leasehold("keys", "list", "--json", env=env)))
    return found


def test_before_the_first_start_there_is_no_key(env: Environment) -> None:
    assert (
        succeeded(leasehold("keys", "list", env=env))
        == "There is no key yet; the first start of the server makes one.\n"
    )
    assert listed(env) == []


def test_a_rotation_publishes_the_next_key_and_says_when_it_signs(env: Environment) -> None:
    line = succeeded(leasehold("keys", "rotate", "--overlap", "600", env=env))
    first, second = listed(env)
    assert (first["state"], second["state"]) == ("signing", "published")
    assert first["signs_until"] == second["signs_from"]
    assert line.startswith(f"{second['kid']}  published  signs from ")
    again = succeeded(leasehold("keys", "rotate", env=env))
    assert again.splitlines()[0] == "The next key is published already; no other was made."
    assert again.splitlines()[1] == line.strip()
    assert succeeded(leasehold("keys", "list", env=env)).splitlines()[1] == line.strip()


def test_a_rotation_at_once_leaves_one_key(env: Environment) -> None:
    succeeded(leasehold("keys", "rotate", env=env))
    before = {key["kid"] for key in listed(env)}
    rotation = json.loads(succeeded(leasehold("keys", "rotate", "--now", "--json", env=env)))
    (left,) = listed(env)
    assert left["state"] == "signing"
    assert rotation["key"]["kid"] == left["kid"]
    assert left["kid"] not in before


def test_nothing_secret_is_printed(env: Environment) -> None:
    printed = succeeded(leasehold("keys", "rotate", "--json", env=env))
    with psycopg.connect(env["LEASEHOLD_DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT id, wrapped FROM platform.signing_keys").fetchall()
    key = InstallationKey(env["LEASEHOLD_INSTALLATION_KEY"])
    for key_id, wrapped in rows:
        seed = key.unwrap(wrapped, purpose=signing_key_purpose(key_id))
        for spelt in (seed.hex(), base64.b64encode(seed).decode(), base64.urlsafe_b64encode(seed).decode().rstrip("=")):
            assert spelt not in printed


@pytest.mark.parametrize("words", [["rotate"], ["rotate", "--now"]])
def test_another_installation_key_rotates_nothing(env: Environment, words: list[str]) -> None:
    succeeded(leasehold("keys", "rotate", "--now", env=env))
    before = listed(env)
    wrong = {**env, "LEASEHOLD_INSTALLATION_KEY": InstallationKey.generate()}
    sentence = refusal_of(leasehold("keys", *words, env=wrong))
    assert sentence.startswith("LEASEHOLD_INSTALLATION_KEY is not this installation's")
    assert listed(env) == before


def test_a_server_with_another_installation_key_says_so_and_does_not_start(env: Environment) -> None:
    succeeded(leasehold("keys", "rotate", "--now", env=env))
    wrong = {**env, "LEASEHOLD_INSTALLATION_KEY": InstallationKey.generate()}
    for command in (["serve"], ["worker", "--port", "0"]):
        sentence = refusal_of(leasehold(*command, env=wrong))
        assert sentence == (
            "LEASEHOLD_INSTALLATION_KEY is not this installation's: it does not open the signing keys in the database."
        )


@pytest.mark.parametrize("overlap", ["0", "1000000"])
def test_an_overlap_that_is_none_is_refused(env: Environment, overlap: str) -> None:
    assert leasehold("keys", "rotate", "--overlap", overlap, env=env).returncode == 2


def test_while_the_next_installation_key_is_only_the_next_nothing_is_wrapped_by_it(env: Environment) -> None:
    sentence = refusal_of(
        leasehold(
            "keys",
            "rotate-installation-key",
            env={**env, "LEASEHOLD_NEXT_INSTALLATION_KEY": InstallationKey.generate()},
        )
    )
    assert sentence.startswith("LEASEHOLD_NEXT_INSTALLATION_KEY is still the next one")


def test_a_tenant_or_all_get_a_new_pepper(env: Environment) -> None:
    assert succeeded(leasehold("keys", "rotate-pepper", "acme", env=env)) == "1 of 1 tenants got a new pepper.\n"
    assert succeeded(leasehold("keys", "rotate-pepper", "--all", env=env)) == "0 of 2 tenants got a new pepper.\n"
    assert refusal_of(leasehold("keys", "rotate-pepper", "nobody", env=env)).count("nobody") == 1
    for words in ([], ["acme", "--all"]):
        assert leasehold("keys", "rotate-pepper", *words, env=env).returncode == 2


def test_an_unreadable_secret_is_named_and_the_status_says_so(env: Environment) -> None:
    with psycopg.connect(env["LEASEHOLD_OWNER_URL"]) as owner:
        schema = _schemas(owner)["globex"]
        kept = owner.execute(f'SELECT id, wrapped FROM "{schema}".tenant_secrets'.encode()).fetchall()
        owner.execute(f'UPDATE "{schema}".tenant_secrets SET wrapped = %s'.encode(), [os.urandom(60)])
    finished = leasehold("keys", "rotate-installation-key", env=env)
    assert finished.returncode == 1
    assert "not readable by either key: those of globex" in finished.stderr
    with psycopg.connect(env["LEASEHOLD_OWNER_URL"]) as owner:
        for secret_id, wrapped in kept:
            owner.execute(
                f'UPDATE "{schema}".tenant_secrets SET wrapped = %s WHERE id = %s'.encode(), [wrapped, secret_id]
            )
    assert leasehold("keys", "rotate-installation-key", env=env).returncode == 0


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_rotation_of_the_installation_key_that_is_killed_is_finished_by_the_next(
    fleet: Environment, seed: int
) -> None:
    dice = random.Random(seed)
    former, new = _key_of_all(fleet), InstallationKey.generate()
    env = {**fleet, "LEASEHOLD_INSTALLATION_KEY": new, "LEASEHOLD_FORMER_INSTALLATION_KEY": former}
    for _ in range(2):
        _killed("keys", "rotate-installation-key", env=env, after_lines=dice.randrange(3), pause_s=dice.random() / 20)
        # Each by one of them, at any moment; looked at once, for what the killed one has sent may still be done.
        assert _wrapped_by(fleet, former, new) == _SECRETS
    succeeded(leasehold("keys", "rotate-installation-key", env=env))
    assert _wrapped_by(fleet, new) == _SECRETS
    alone = {**fleet, "LEASEHOLD_INSTALLATION_KEY": new}
    finished = succeeded(leasehold("keys", "rotate-installation-key", env=alone))
    assert finished == f"0 of {_SECRETS} secrets were wrapped anew, all others were already.\n"
    _KEYS[fleet["LEASEHOLD_DATABASE_URL"]] = new


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_rotation_of_signing_keys_that_is_killed_is_finished_by_the_next(env: Environment, seed: int) -> None:
    started = time.monotonic()
    succeeded(leasehold("keys", "rotate", "--now", env=env))
    seconds = time.monotonic() - started
    dice = random.Random(seed)
    for _ in range(3):
        _killed("keys", "rotate", env=env, after_lines=0, pause_s=dice.uniform(0.6, 1.1) * seconds)
        assert _signing_keys(env) in {1, 2}
    succeeded(leasehold("keys", "rotate", env=env))
    assert [key["state"] for key in listed(env)] == ["signing", "published"]


_KEYS: dict[str, str] = {}


def _key_of_all(env: Environment) -> str:
    """Return the key by which all secrets of an installation are wrapped now."""
    return _KEYS.get(env["LEASEHOLD_DATABASE_URL"], env["LEASEHOLD_INSTALLATION_KEY"])


def _killed(*words: str, env: Environment, after_lines: int, pause_s: float) -> None:
    """Run a command and kill it once it has said so many lines of its progress, and a while more."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEASEHOLD_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "leasehold", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=inherited | {"PYTHONUNBUFFERED": "1"} | dict(env),
        cwd=PROJECT,
    )
    assert process.stderr is not None
    for _ in range(after_lines):
        process.stderr.readline()
    time.sleep(pause_s)  # the kill comes at a moment of chance, wherever the command then is
    process.kill()
    process.wait(10)
    process.stderr.close()


def _signing_keys(env: Environment) -> int:
    with psycopg.connect(env["LEASEHOLD_DATABASE_URL"]) as connection:
        return len(connection.execute("SELECT id FROM platform.signing_keys").fetchall())


def _schemas(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, str]:
    rows = connection.execute("SELECT slug, schema_name FROM platform.tenants").fetchall()
    return {str(slug): str(schema) for slug, schema in rows}


def _wrapped_by(env: Environment, *texts: str) -> int:
    """Return how many secrets of an installation one of these keys opens."""
    keys = [InstallationKey(text) for text in texts]
    with psycopg.connect(env["LEASEHOLD_OWNER_URL"]) as owner:
        wrapped = [
            (bytes(secret), signing_key_purpose(key_id))
            for key_id, secret in owner.execute("SELECT id, wrapped FROM platform.signing_keys").fetchall()
        ]
        tenants = owner.execute("SELECT id, schema_name FROM platform.tenants").fetchall()
        for tenant_id, schema in tenants:
            rows = owner.execute(f'SELECT name, wrapped FROM "{schema}".tenant_secrets'.encode()).fetchall()
            wrapped += [(bytes(secret), secret_purpose(tenant_id, name)) for name, secret in rows]
    return sum(any(_opens(key, secret, purpose) for key in keys) for secret, purpose in wrapped)


def _opens(key: InstallationKey, secret: bytes, purpose: str) -> bool:
    try:
        key.unwrap(secret, purpose=purpose)
    except UnwrapFailed:
        return False
    return True
