"""Which errors a person can do something about, and the sentence that says what."""

from collections.abc import Generator
from contextlib import contextmanager

import asyncpg
from advanced_alchemy.exceptions import NotFoundError
from alembic.util import CommandError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from leasehold.cli.fleet import UnknownFunction
from leasehold.cli.fleet_run import Interrupted
from leasehold.cli.installation import DataFolderNotUsable, InstalledElsewhere, NoOwnerUrl
from leasehold.cli.keys import NextKeyPending
from leasehold.cli.reference import BreakingChanges
from leasehold.cli.serving import DemoSecrets, PortTaken
from leasehold.core.errors import Problem
from leasehold.core.quotas.opening import ValkeyNotInstalled
from leasehold.core.vault import InvalidInstallationKey, UnwrapFailed
from leasehold.embedded import EmbeddedPostgresError
from leasehold.observe.traces import TracesNotInstalled
from leasehold.tenancy.archive.refusals import ArchiveRefused
from leasehold.tenancy.fleet.history import BrokenHistory, DatabaseNewer, UnknownRevision
from leasehold.tenancy.fleet.lease import LeaseLost, RunnerBusy
from leasehold.tenancy.fleet.plan import Destructive, UnknownTenantSlug
from leasehold.tenancy.fleet.rendering import Unrenderable
from leasehold.tenancy.fleet.run import ReferenceFailed
from leasehold.tenancy.install import InvalidDatabaseUrl, MayNotCreateRoles, ServerTooOld
from leasehold.tenancy.readiness import TooManyConnections
from leasehold.tenancy.signing import WrongInstallationKey

_OURS = (
    ArchiveRefused,
    BreakingChanges,
    BrokenHistory,
    CommandError,
    DatabaseNewer,
    DataFolderNotUsable,
    DemoSecrets,
    Destructive,
    EmbeddedPostgresError,
    InstalledElsewhere,
    Interrupted,
    InvalidDatabaseUrl,
    InvalidInstallationKey,
    LeaseLost,
    MayNotCreateRoles,
    NextKeyPending,
    NoOwnerUrl,
    PortTaken,
    ReferenceFailed,
    RunnerBusy,
    ServerTooOld,
    TooManyConnections,
    UnknownFunction,
    UnknownRevision,
    UnknownTenantSlug,
    Unrenderable,
    TracesNotInstalled,
    UnwrapFailed,
    ValkeyNotInstalled,
    WrongInstallationKey,
)


def sentence_of(error: Exception) -> str | None:
    """Return what to tell the person at the terminal, or None for what is our own fault."""
    if isinstance(error, Problem):
        return error.detail
    if isinstance(error, _OURS):
        return str(error)
    if isinstance(error, ValidationError):
        return _missing_settings(error)
    if isinstance(error, NotFoundError):
        return "There is no such thing."
    if isinstance(error, asyncpg.InvalidPasswordError | asyncpg.InvalidAuthorizationSpecificationError):
        return f"The database refuses the login: {error}."
    if isinstance(error, asyncpg.InvalidCatalogNameError | asyncpg.InsufficientPrivilegeError):
        return f"The database refuses: {error}."
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InvalidSchemaNameError):
        return "The database was not migrated yet; run `leasehold migrate all`."
    if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(("53", "55P03", "57")):
        return f"The database refuses: {error}."
    if isinstance(error, DBAPIError) and error.orig is not None:
        return f"The database refuses: {error.orig}."
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return f"The connection to the database was lost: {error}."
    if isinstance(error, ConnectionError | TimeoutError | OSError | asyncpg.PostgresConnectionError):
        return f"The database cannot be reached: {str(error) or type(error).__name__}."
    return None


@contextmanager
def as_command_error() -> Generator[None]:
    """Let Alembic's own command end with the same sentence instead of a traceback."""
    try:
        yield
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None or isinstance(error, CommandError):
            raise
        raise CommandError(sentence) from error


def _missing_settings(error: ValidationError) -> str:
    faults = [
        (f"LEASEHOLD_{'_'.join(map(str, fault['loc']))}".upper(), fault["msg"].removeprefix("Value error, "))
        for fault in error.errors()
    ]
    return "The settings are not right: " + "; ".join(f"{name}: {message}" for name, message in faults) + "."
