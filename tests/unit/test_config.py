"""The settings of a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from leasehold.config import Settings, windows_of


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that holds what is required and nothing else of ours."""
    for name in [name for name in os.environ if name.upper().startswith("LEASEHOLD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LEASEHOLD_DATABASE_URL", "postgresql://lh_app:hunter2@db/leasehold")
    monkeypatch.setenv("LEASEHOLD_INSTALLATION_KEY", "lhk_hunter3")
    return monkeypatch


def _settings() -> Settings:
    return Settings()


def test_what_is_not_set_has_a_default() -> None:
    settings = _settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.direct_url is None
    assert settings.owner_url is None
    assert settings.tenant_roles is True
    assert settings.max_body_bytes == 1_048_576
    assert settings.access_token_seconds == 900


def test_the_environment_is_read_by_prefix(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LEASEHOLD_PORT", "9001")
    environment.setenv("LEASEHOLD_TENANT_ROLES", "off")
    environment.setenv("LEASEHOLD_BASE_DOMAIN", "leasehold.test")
    environment.setenv("LEASEHOLD_OWNER_URL", "postgresql://lh_owner@db/leasehold")
    environment.setenv("PORT", "9002")
    environment.setenv("HOST", "0.0.0.0")
    settings = _settings()
    assert (settings.port, settings.host, settings.tenant_roles) == (9001, "127.0.0.1", False)
    assert settings.base_domain == "leasehold.test"
    assert settings.owner_url == SecretStr("postgresql://lh_owner@db/leasehold")


def test_settings_cannot_be_changed() -> None:
    settings = _settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
    assert settings.port == 8000


def test_secrets_are_not_shown() -> None:
    shown = f"{_settings()!r} {_settings()} {_settings().model_dump()} {_settings().model_dump_json()}"
    assert "hunter" not in shown


@pytest.mark.parametrize("name", ["LEASEHOLD_DATABASE_URL", "LEASEHOLD_INSTALLATION_KEY"])
def test_what_is_required_must_be_set(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(ValidationError, match=name.removeprefix("LEASEHOLD_").lower()):
        _settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "web"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("WORKERS", "0"),
        ("POOL_SIZE", "0"),
        ("POOL_TIMEOUT_S", "0"),
        ("TENANT_ROLES", "perhaps"),
        ("DIRECTORY_POLL_S", "0"),
        ("DIRECTORY_MAX_AGE_S", "-1"),
        ("ACCESS_TOKEN_SECONDS", "901"),
        ("MAX_BODY_BYTES", "1"),
        ("CLIENT_TIMEOUT_S", "0"),
        ("APP_URL", "{slug}.example.com"),
        ("APP_URL", "https://{host}"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,everybody"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("SESSION_SECONDS", "1"),
        ("PASSWORD_HASHES", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"LEASEHOLD_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        _settings()


def test_a_variable_that_is_none_of_ours_does_no_harm(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LEASEHOLD_DATA_DIR", "/somewhere")
    assert _settings().port == 8000


def test_importing_everything_reads_no_setting(project: Path) -> None:
    modules = [
        ".".join(path.relative_to(project / "src").with_suffix("").parts).removesuffix(".__init__")
        for path in (project / "src" / "leasehold").rglob("*.py")
        if path.name != "__main__.py"
    ]
    broken = {"LEASEHOLD_PORT": "web", "LEASEHOLD_LOG_LEVEL": "loud", "PATH": os.environ["PATH"]}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import {', '.join(modules)}"],
        cwd=project / "src",
        env=broken,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")
    assert len(modules) > 80


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("100/10s", ((100, 10),)),
        ("5/s", ((5, 1),)),
        ("1000/1h, 100/10s ,3/2d", ((100, 10), (1000, 3600), (3, 172_800))),
        ("60/m", ((60, 60),)),
        ("off", ()),
        (" OFF ", ()),
    ],
)
def test_rate_limits_are_windows_from_the_shortest_on(text: str, windows: tuple[tuple[int, int], ...]) -> None:
    assert windows_of(text) == windows


@pytest.mark.parametrize(
    "text",
    [
        *(
            "100",
            "100/10",
            "/10s",
            "100/10x",
            "-1/10s",
            "1.5/s",
            "0/10s",
            "100/0s",
            "100/10s,",
            "100/10s;5/h",
            "off,1/s",
        ),
        *("10/60s,20/1m", "2000000/1s", "1/31d", "\u0661/s", "1/s\n1/h", "100/99999999999s"),
    ],
)
def test_a_rate_limit_that_is_none_is_refused_at_the_start(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv("LEASEHOLD_RATE_LIMIT_CLIENT", text)
    with pytest.raises(ValidationError, match="a rate limit"):
        _settings()


def test_no_limit_at_all_needs_the_word(environment: pytest.MonkeyPatch) -> None:
    """An empty variable is as good as none everywhere here, and must not turn limits off by mistake."""
    environment.setenv("LEASEHOLD_RATE_LIMIT_TENANT", "")
    assert _settings().rate_limit_tenant == "10000/10s,1800000/1h"


@pytest.mark.parametrize("text", ["", "3d", "all=3", "all=0d", "all=3d,all=4d", "hourly=3d", "all=3d;daily=3d"])
def test_how_long_backups_are_kept_is_said_in_one_way(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv("LEASEHOLD_BACKUP_KEEP", text or " ")
    with pytest.raises(ValidationError, match="how long backups are kept looks like all=3d"):
        _settings()


@pytest.mark.parametrize("url", ["s3://", "file://relative", "/a/folder", "https://host/bucket", "s3://user@bucket/x"])
def test_a_backup_url_names_a_folder_or_a_bucket(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("LEASEHOLD_BACKUP_URL", url)
    with pytest.raises(ValidationError, match="a backup URL looks like"):
        _settings()


def test_who_counts_in_valkey_says_where_it_is(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LEASEHOLD_RATE_LIMIT_STORE", "valkey")
    with pytest.raises(ValidationError, match="to count in Valkey, set LEASEHOLD_VALKEY_URL"):
        _settings()
    environment.setenv("LEASEHOLD_VALKEY_URL", "valkey://:secret-word@valkey.example.internal:6379/0")
    assert (_settings().rate_limit_store, "secret-word" in repr(_settings())) == ("valkey", False)


@pytest.mark.parametrize(
    "url", ["valkey.example.internal:6379", "http://x", "valkey://", "valkey://x/zero", "unix:///x"]
)
def test_a_valkey_url_that_is_none_is_refused_at_the_start(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("LEASEHOLD_VALKEY_URL", url)
    with pytest.raises(ValidationError, match="a Valkey URL looks like"):
        _settings()
