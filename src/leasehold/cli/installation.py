"""Which installation a command works on: the one that the environment names, or the local one that `up` makes.

The local one lives in a data folder: an embedded PostgreSQL and the secrets that were made for it. Whoever uses it
shares the server, and the last one out stops it.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from leasehold.config import PROJECT_ROOT, Settings
from leasehold.core.vault import InstallationKey
from leasehold.embedded import EmbeddedPostgres
from leasehold.tenancy.install import connect, install, may_create_roles, with_login
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE

DEFAULT_DATA_DIR = PROJECT_ROOT / ".leasehold"
DATABASE = "leasehold"
_DATABASE_URL = "LEASEHOLD_DATABASE_URL"
_INSTALLATION_KEY = "LEASEHOLD_INSTALLATION_KEY"


class NoOwnerUrl(RuntimeError):
    """Set LEASEHOLD_OWNER_URL: this needs the login lh_owner on PostgreSQL itself, and `leasehold db init` makes it."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class InstalledElsewhere(RuntimeError):
    """That server holds an installation whose logins this data folder does not know; it was left as it is."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class DataFolderNotUsable(RuntimeError):
    """The data folder {folder} cannot be used: {reason}."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(folder=folder, reason=reason))


@dataclass(frozen=True, slots=True)
class LocalSecrets:
    """What was made up for a local installation; the key is marked, so that `serve` refuses it."""

    installation_key: str
    owner_password: str
    app_password: str


@contextmanager
def installation(settings: Settings | None = None, *, data_dir: Path | None = None) -> Generator[Settings]:
    """Yield the settings to work with: those given, those of the environment, or those of the local installation."""
    if settings is not None:
        yield settings
    elif os.environ.get(_DATABASE_URL) and os.environ.get(_INSTALLATION_KEY):
        yield Settings()  # pyright: ignore[reportCallIssue]
    else:
        with local_installation(data_dir or default_data_dir()) as local:
            yield local


@contextmanager
def local_installation(data_dir: Path) -> Generator[Settings]:
    """Yield the settings of the local installation, whose server runs until the last user has left.

    With LEASEHOLD_DATABASE_URL of an administrator that server is prepared and used instead of the embedded one.

    Raises:
        DataFolderNotUsable, EmbeddedPostgresError: the folder or the server cannot be used.
        InstalledElsewhere: the server is another installation's.
    """
    local = _local_secrets(data_dir)
    if foreign_url := os.environ.get(_DATABASE_URL):
        yield asyncio.run(_prepare_foreign(foreign_url, local))
        return
    with EmbeddedPostgres(data_dir) as admin_url:
        yield asyncio.run(_prepare(admin_url, DATABASE, local, keep_passwords=False))


def default_data_dir() -> Path:
    """Return the folder of the local installation."""
    return Path(os.environ.get("LEASEHOLD_DATA_DIR") or DEFAULT_DATA_DIR)


def owner_url_of(settings: Settings) -> str:
    """Return the URL of the owner.

    Raises:
        NoOwnerUrl: the settings have none.
    """
    if settings.owner_url is None:
        raise NoOwnerUrl
    return settings.owner_url.get_secret_value()


async def _prepare_foreign(url: str, local: LocalSecrets) -> Settings:
    connection = await connect(url)
    try:
        is_admin = await may_create_roles(connection)
        database = await connection.fetchval("SELECT current_database()")
    finally:
        await connection.close()
    if is_admin:
        name = DATABASE if database == "postgres" else database
        return await _prepare(url, name, local, keep_passwords=True)
    if not os.environ.get("LEASEHOLD_OWNER_URL"):
        raise NoOwnerUrl
    key = os.environ.get(_INSTALLATION_KEY) or local.installation_key
    return Settings(installation_key=SecretStr(key))  # pyright: ignore[reportCallIssue]


async def _prepare(admin_url: str, database: str, local: LocalSecrets, *, keep_passwords: bool) -> Settings:
    app_url = with_login(admin_url, user=APP_ROLE, password=local.app_password, database=database)
    owner_url = with_login(admin_url, user=OWNER_ROLE, password=local.owner_password, database=database)
    if not await _opens(app_url) or not await _opens(owner_url):
        await install(
            admin_url,
            database=database,
            owner_password=local.owner_password,
            app_password=local.app_password,
            keep_passwords=keep_passwords,
        )
        if keep_passwords and not await _opens(owner_url):
            raise InstalledElsewhere
    return Settings(
        database_url=SecretStr(app_url),
        direct_url=SecretStr(app_url),
        owner_url=SecretStr(owner_url),
        installation_key=SecretStr(local.installation_key),
    )


async def _opens(url: str) -> bool:
    try:
        connection = await connect(url)
    except asyncpg.PostgresError:
        return False
    await connection.close()
    return True


def _local_secrets(data_dir: Path) -> LocalSecrets:
    """Return the secrets in a data folder, made if there are none."""
    file = data_dir / "secrets.json"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if file.exists():
            return LocalSecrets(**json.loads(file.read_text()))
        made = LocalSecrets(InstallationKey.generate(demo=True), secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        _write_once(file, json.dumps(asdict(made)))
        return LocalSecrets(**json.loads(file.read_text()))
    except OSError as error:
        raise DataFolderNotUsable(data_dir, error.strerror or str(error)) from error
    except (ValueError, TypeError) as error:
        raise DataFolderNotUsable(data_dir, "its secrets.json is damaged") from error


def write_private(file: Path, text: str) -> None:
    """Write a file that only this user can read, in one step."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    unfinished.replace(file)


def _write_once(file: Path, text: str) -> None:
    """Write a private file unless another process was faster; either way it is whole."""
    own = file.with_name(f"{file.name}.first.{os.getpid()}")
    write_private(own, text)
    with suppress(FileExistsError):
        file.hardlink_to(own)
    own.unlink()
