"""`leasehold serve`: the production form, which starts with real settings or says what is wrong with them."""

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.cli.shell import (
    TIMEOUT_S,
    Environment,
    free_port,
    leasehold,
    members_of,
    refusal_of,
    running,
    settings_of,
    succeeded,
)

DEMO_KEY = "demo_" + "A" * 43
_ONCE = {"Connection": "close"}


def test_a_real_installation_is_served_until_sigterm(
    installed: Environment, provision: Callable[..., None], tmp_path: Path
) -> None:
    provision(installed, "initech", "hooli")
    client = settings_of(succeeded(leasehold("clients", "create", "initech", env=installed)))
    admin = succeeded(leasehold("tokens", "create", "ops", env=installed)).strip()
    port = free_port()
    env = {**installed, "LEASEHOLD_PORT": str(port), "LEASEHOLD_BASE_DOMAIN": "saas.example"}
    base = f"http://127.0.0.1:{port}"
    with running("serve", env=env, folder=tmp_path) as served, httpx.Client(timeout=TIMEOUT_S, headers=_ONCE) as api:
        served.wait_for(lambda: _is_ready(base))
        platform = {"Authorization": f"Bearer {admin}"}
        tenants = api.get(f"{base}/platform/v1/tenants", headers=platform).json()
        assert {row["slug"] for row in tenants["items"]} >= {"initech", "hooli"}
        form = {"grant_type": "client_credentials", **client}
        token = api.post(f"{base}/oauth/token", data=form, headers={"Host": "initech.saas.example"}).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        made = api.post(f"{base}/v1/items", headers=headers, json={"title": "Desk"})
        assert made.status_code == 201
        wrong = api.get(f"{base}/v1/items", headers={**headers, "Host": "hooli.saas.example"})
        assert wrong.status_code == 403
        umbrella = {"slug": "umbrella", "name": "Umbrella"}
        provisioned = api.post(f"{base}/platform/v1/tenants", headers=platform, json=umbrella)
        assert provisioned.status_code == 201
        assert served.end(signal.SIGTERM) == 0
        assert members_of(served.process.pid) == []
        assert "Traceback" not in served.printed + served.complained
        for secret in (admin, client["client_secret"], token["access_token"], *_passwords(installed)):
            assert secret not in served.printed + served.complained
        lines = [json.loads(line) for line in served.printed.splitlines()]
        answered = [line for line in lines if line["event"] == "request_answered"]
        assert {line["path"] for line in answered} >= {"/oauth/token", "/v1/items", "/platform/v1/tenants"}


def test_a_demo_key_is_refused(installed: Environment) -> None:
    sentence = refusal_of(leasehold("serve", env={**installed, "LEASEHOLD_INSTALLATION_KEY": DEMO_KEY}))
    assert sentence.startswith("LEASEHOLD_INSTALLATION_KEY is a demo's")


def test_one_port_for_two_things_is_refused(installed: Environment) -> None:
    env = {**installed, "LEASEHOLD_PORT": "8123", "LEASEHOLD_METRICS_PORT": "8123"}
    assert "LEASEHOLD_PORT and LEASEHOLD_METRICS_PORT are the same" in refusal_of(leasehold("serve", env=env))


@pytest.mark.parametrize("key", ["secret", "lhk_" + "é" * 43])
def test_a_key_that_is_none_is_refused(installed: Environment, key: str) -> None:
    sentence = refusal_of(leasehold("serve", env={**installed, "LEASEHOLD_INSTALLATION_KEY": key}))
    assert sentence.startswith("LEASEHOLD_INSTALLATION_KEY must be")


def test_settings_that_are_missing_are_all_named_at_once() -> None:
    sentence = refusal_of(leasehold("serve"))
    assert "LEASEHOLD_DATABASE_URL" in sentence
    assert "LEASEHOLD_INSTALLATION_KEY" in sentence


def test_a_setting_that_is_wrong_is_named_without_its_value(installed: Environment) -> None:
    sentence = refusal_of(leasehold("serve", env={**installed, "LEASEHOLD_PORT": "eight", "LEASEHOLD_POOL_SIZE": "0"}))
    assert "LEASEHOLD_PORT" in sentence
    assert "LEASEHOLD_POOL_SIZE" in sentence


def test_a_database_that_was_never_migrated_is_refused(prepared: Environment) -> None:
    sentence = refusal_of(leasehold("serve", env={**prepared, "LEASEHOLD_PORT": str(free_port())}))
    assert "leasehold migrate all" in sentence


def test_a_database_that_does_not_answer_is_refused(installed: Environment) -> None:
    url = "postgresql://lh_app:hidden@127.0.0.1:1/leasehold"
    refused = leasehold("serve", env={**installed, "LEASEHOLD_DATABASE_URL": url, "LEASEHOLD_PORT": str(free_port())})
    assert "database" in refusal_of(refused)
    assert "hidden" not in refused.stderr


def test_a_database_url_that_is_none_is_refused(installed: Environment) -> None:
    refused = leasehold("serve", env={**installed, "LEASEHOLD_DATABASE_URL": "nonsense", "LEASEHOLD_PORT": "0"})
    assert "LEASEHOLD_DATABASE_URL" in refusal_of(refused)


def test_a_port_that_another_program_uses_is_named(installed: Environment) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = leasehold("serve", env={**installed, "LEASEHOLD_PORT": str(port)})
    assert refusal_of(refused) == f"Cannot listen on 127.0.0.1:{port}: another program does."


def _is_ready(base: str, *, timeout_s: float = 1) -> bool:
    try:
        return httpx.get(f"{base}/health/ready", timeout=timeout_s).status_code == 200
    except httpx.TransportError:
        return False


def _passwords(env: Environment) -> set[str]:
    urls = [env[name] for name in ("LEASEHOLD_DATABASE_URL", "LEASEHOLD_OWNER_URL")]
    return {url.partition("://")[2].partition("@")[0].partition(":")[2] for url in urls}


def test_more_connections_than_postgresql_grants_are_refused_before_serving(installed: Environment) -> None:
    env = {**installed, "LEASEHOLD_POOL_SIZE": "500", "LEASEHOLD_WORKERS": "2", "LEASEHOLD_PORT": str(free_port())}
    sentence = refusal_of(leasehold("serve", env=env))
    assert sentence.startswith("PostgreSQL grants ")
    assert "connections, and 1010 would be opened" in sentence


def test_several_processes_serve_one_address(installed: Environment, tmp_path: Path) -> None:
    port = free_port()
    env = {**installed, "LEASEHOLD_PORT": str(port), "LEASEHOLD_WORKERS": "2"}
    with running("serve", env=env, folder=tmp_path) as served:
        base = f"http://127.0.0.1:{port}"
        served.wait_for(lambda: _is_ready(base))
        assert all(_is_ready(base, timeout_s=TIMEOUT_S) for _ in range(20))
        assert served.end(signal.SIGTERM, times=2) == 0
        assert members_of(served.process.pid) == []
