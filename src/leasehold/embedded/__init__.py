"""A PostgreSQL server for development, the demo and the tests, out of the extra `leasehold[embedded]`.

Read in this order: `server` (what a user holds), `home` (what lies in a data folder), `locks` (who may start
and stop), `cluster` (initdb), `postmaster` (the running process), `binaries` and `account` (what root needs).
Nothing here knows tenants, settings or SQL, and production never imports it.
"""

from leasehold.embedded.errors import (
    BinariesNotTrusted,
    ClusterInUse,
    ClusterNotCreated,
    EmbeddedPostgresError,
    EmbeddedPostgresNotInstalled,
    FolderNotUsable,
    PasswordMissing,
    RootNotSupported,
    ServerBusy,
    ServerNotStarted,
    ServerNotStopped,
    ServerTooSlow,
)
from leasehold.embedded.server import EmbeddedPostgres

__all__ = [
    "BinariesNotTrusted",
    "ClusterInUse",
    "ClusterNotCreated",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "EmbeddedPostgresNotInstalled",
    "FolderNotUsable",
    "PasswordMissing",
    "RootNotSupported",
    "ServerBusy",
    "ServerNotStarted",
    "ServerNotStopped",
    "ServerTooSlow",
]
