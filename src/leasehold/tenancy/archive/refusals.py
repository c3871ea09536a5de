"""Why an archive was not made or not taken: one sentence each, and nothing was changed."""

_MOST_TEXT = 300


class ArchiveRefused(RuntimeError):
    """The archive cannot be made, or cannot be taken."""

    def __init__(self, **fields: object) -> None:
        told = {name: printable(value) for name, value in fields.items()}
        super().__init__(" ".join((self.__doc__ or "").split()).format(**told))


def printable(value: object) -> str:
    """Return a text that may be anybody's, as it can stand in a sentence on a terminal."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    text = " ".join(text.split())
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."


class NotWritable(ArchiveRefused):
    """The archive {path} cannot be written: {reason}."""


class AlreadyThere(ArchiveRefused):
    """There is a file {path} already; it was left as it is."""


class BeingWritten(ArchiveRefused):
    """Another command is writing the archive {path} now."""


class NotReadable(ArchiveRefused):
    """The archive {path} cannot be read: {reason}."""


class Damaged(ArchiveRefused):
    """The archive was cut off or altered, or is none: {reason}."""


class OfAnotherKind(ArchiveRefused):
    """This is the archive of a {found}, not of a {wanted}."""


class ArchiveNewer(ArchiveRefused):
    """The archive was made by Leasehold {made_by}, and this is an older one: {reason}."""


class WrongPassphrase(ArchiveRefused):
    """This is not the passphrase of the archive."""


class WeakPassphrase(ArchiveRefused):
    """The passphrase of an archive needs at least {least} characters."""


class NotExportable(ArchiveRefused):
    """The tenant {slug} is {state}, and has nothing that could be exported."""


class BeingMigrated(ArchiveRefused):
    """The tenant {slug} is being migrated; try again when that is done."""


class PutBackMeanwhile(ArchiveRefused):
    """The tenant {slug} was put back to an earlier state in the middle; export it again."""


class Drifted(ArchiveRefused):
    """The schema of the tenant {slug} is not as the migrations made it, so no import could prove that all came back;
    `leasehold migrate drift {slug}` says how it differs.
    """


class DoesNotFit(ArchiveRefused):
    """The archive does not fit its revision {revision}: {reason}."""


class CameBackOtherwise(ArchiveRefused):
    """The table {table} did not come back as it is in the archive; nothing was imported."""


class UnknownPlanOfArchive(ArchiveRefused):
    """This installation has no plan {plan}; make it first, or name another one by --plan."""


class DomainTaken(ArchiveRefused):
    """Another tenant answers on the domain {hostname}; import without the archive's domains by --without-domains."""


class PlatformBeingMigrated(ArchiveRefused):
    """The platform is being migrated; try again when that is done."""


class NotEmpty(ArchiveRefused):
    """This installation has {what} already; the platform can be taken over by one that has nobody yet."""


class StandsElsewhere(ArchiveRefused):
    """The platform of this installation stands at revision {found}, and the archive was made at {revision}; give it a
    database that `leasehold db init` has just made, and migrate that afterwards.
    """


class DomainNotAllowed(ArchiveRefused):
    """The domain {hostname} cannot be a tenant's here; import without the archive's domains by --without-domains."""


class IdInUse(ArchiveRefused):
    """The id of the tenant {slug} is in use here: it is being purged, or somebody has just brought it back; nothing was
    changed. Look at it before you try again.
    """


class ImportedMeanwhile(ArchiveRefused):
    """The same tenant was made by somebody else in the same moment; look at it before you import again."""
