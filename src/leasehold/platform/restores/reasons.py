"""Why one backup does not come back while others do: what is named at the end, and keeps nobody else from it."""

import asyncpg

from leasehold.core.errors import Problem
from leasehold.tenancy.archive.refusals import ArchiveRefused
from leasehold.tenancy.fleet.live import LiveRevisionFailed
from leasehold.tenancy.fleet.rendering import Unrenderable
from leasehold.tenancy.provision import FingerprintMismatch

NO_BACKUP = "there is no backup"
REASONS = (Problem, ArchiveRefused, FingerprintMismatch, LiveRevisionFailed, Unrenderable, asyncpg.PostgresError)


def reason_of(error: Exception) -> str:
    """Return one of the reasons as a part of a sentence."""
    return (error.detail if isinstance(error, Problem) else str(error)).rstrip(".")
