"""Why a tenant was not put back, or not as was asked: one sentence each, and nothing was changed."""

from leasehold.tenancy.archive.refusals import ArchiveRefused


class AnotherTenants(ArchiveRefused):
    """This is an archive of {archived}, which is not the tenant {slug}; import it beside by --beside."""


class NotInPlace(ArchiveRefused):
    """The tenant {slug} is {state}, so nothing can be put in its place; undo that first."""


class WaitsForConfirmation(ArchiveRefused):
    """The tenant {slug} was put back already, and what it had waits: `leasehold restores confirm {slug}` destroys it,
    `leasehold restores undo {slug}` brings it back.
    """


class NothingWaits(ArchiveRefused):
    """The tenant {slug} was not put back, or what it had is destroyed already; there is nothing to confirm or undo."""


class UndoneAlready(ArchiveRefused):
    """The tenant {slug} has again what it had before it was put back; `leasehold restores redo {slug}` puts it back."""


class NotUndone(ArchiveRefused):
    """The tenant {slug} is put back as it is; there is nothing to be done again."""


class RestoreUnderWay(ArchiveRefused):
    """Somebody else is about to put the tenant {slug} back."""


class FleetUnderWay(ArchiveRefused):
    """A run over the fleet is under way: on {host}, process {pid}. Wait until it has ended, or stop it."""


class StillBusy(ArchiveRefused):
    """The tables of the tenant {slug} were held by others all the time for {seconds} seconds, at last by {holders};
    nothing was changed. Let it rest by `leasehold tenants maintain {slug}`, or try again.
    """


class MigratedBeyond(ArchiveRefused):
    """The tenant {slug} stands at revision {revision}, and this release knows none beyond {head}; nothing was changed.
    Take the release that migrated it.
    """


class BeingDestroyed(ArchiveRefused):
    """What was kept for the tenant {slug} is being destroyed: `leasehold restores confirm {slug}` waits for the end of
    that, or goes on with it if it was cut off.
    """


class ChangedMeanwhile(ArchiveRefused):
    """What is kept for the tenant {slug} is no longer what you were asked about; nothing was destroyed. Ask again:
    `leasehold restores confirm {slug}`.
    """


class LeftBehind(ArchiveRefused):
    """What the tenant {slug} had stands at revision {revision}, and this release is at {head}; run
    `leasehold migrate all` first.
    """
