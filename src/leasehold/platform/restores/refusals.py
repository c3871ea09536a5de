"""Why nothing can be put back: one sentence each."""

from leasehold.tenancy.archive.refusals import ArchiveRefused


class NobodyCalled(ArchiveRefused):
    """There is no tenant {tenant}, and no backup of one that was called so."""


class NoBackup(ArchiveRefused):
    """There is no backup of the tenant {tenant}."""


class NoBackupOfTime(ArchiveRefused):
    """There is no backup of the tenant {tenant} of {at} or before; `leasehold backup list` shows which there are."""


class NoPlatformBackup(ArchiveRefused):
    """There is no backup of the platform of that time; `leasehold backup list --platform` shows which there are."""
