"""Why something cannot be done with backups: one sentence each."""

from leasehold.tenancy.archive.refusals import ArchiveRefused


class BackupRefused(ArchiveRefused):
    """The backup cannot be made, or cannot be read."""


class NoBackupStore(BackupRefused):
    """There is no place for backups; set LEASEHOLD_BACKUP_URL to file:///a/folder or s3://a-bucket/prefix."""


class NoBackupPassphrase(BackupRefused):
    """Backups need a passphrase; set LEASEHOLD_BACKUP_PASSPHRASE or LEASEHOLD_BACKUP_PASSPHRASE_FILE."""


class PassphraseNotReadable(BackupRefused):
    """The file {path} of LEASEHOLD_BACKUP_PASSPHRASE_FILE cannot be read: {reason}."""


class BackupNotInstalled(BackupRefused):
    """LEASEHOLD_BACKUP_URL needs the extra `backup`: install leasehold[backup]."""


class StoreRefuses(BackupRefused):
    """The backup store {url} cannot be used: {reason}."""


class BackupGone(BackupRefused):
    """The backup {path} is not in the store any more."""


class BackupExchanged(BackupRefused):
    """The archive {archive} is not the one that {path} was made of; somebody has put another one in its place."""


class BackupRunning(BackupRefused):
    """Another command is making or deleting backups of this installation now."""


class UnknownTenants(BackupRefused):
    """There is no tenant {slugs}."""
