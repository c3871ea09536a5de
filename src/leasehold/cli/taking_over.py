"""Builds what loads the archive of a platform into an installation that has nobody yet."""

from functools import partial

from leasehold.cli.fleet_run import upgrade_platform
from leasehold.config import Settings
from leasehold.core.models import PlatformModel
from leasehold.main import installation_key
from leasehold.platform.features import WRAPPED_OF_PLATFORM
from leasehold.tenancy.archive.taking_over import PlatformImporter
from leasehold.tenancy.fleet.history import open_scripts


def platform_importer(settings: Settings) -> PlatformImporter:
    """Return what loads a platform into the database of these settings.

    Raises:
        InvalidInstallationKey: the installation key is none.
        BrokenHistory: there is no history of the platform.
    """
    scripts = open_scripts(settings.migrations_dir, "platform")
    return PlatformImporter(
        owner_url=settings.owner_url.get_secret_value() if settings.owner_url else None,
        key=installation_key(settings),
        secrets=WRAPPED_OF_PLATFORM,
        metadata=PlatformModel.metadata,
        revisions=frozenset(revision.revision for revision in scripts.walk_revisions()),
        upgrade=partial(upgrade_platform, settings),
    )
