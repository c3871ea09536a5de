"""Opens the store of backups that the settings name, and finds its passphrase."""

from importlib import import_module

from leasehold.config import Settings
from leasehold.platform.backups.refusals import (
    BackupNotInstalled,
    NoBackupPassphrase,
    NoBackupStore,
    PassphraseNotReadable,
)
from leasehold.platform.backups.store import BackupStore


def open_store(settings: Settings) -> BackupStore:
    """Return the store that the settings name.

    Raises:
        NoBackupStore: they name none.
        BackupNotInstalled: what it needs is not installed.
        StoreRefuses: its folder cannot be made.
    """
    if settings.backup_url is None:
        raise NoBackupStore
    try:
        # By its name, so that nobody needs the extra `backup` who has no backups.
        opening = import_module("leasehold.platform.backups.objects")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise BackupNotInstalled from error
    return BackupStore(opening.open_objects(settings.backup_url))


def backup_passphrase(settings: Settings) -> str:
    """Return the passphrase of all backups.

    Raises:
        NoBackupPassphrase: the settings have none.
        PassphraseNotReadable: the file that they name cannot be read.
    """
    if settings.backup_passphrase is not None:
        return settings.backup_passphrase.get_secret_value()
    if settings.backup_passphrase_file is None:
        raise NoBackupPassphrase
    path = settings.backup_passphrase_file
    try:
        found = path.read_text().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise PassphraseNotReadable(path=path, reason=getattr(error, "strerror", None) or str(error)) from error
    if not found:
        raise NoBackupPassphrase
    return found
