"""What one process of the server holds for its whole life, built once by `create_app` and handed down."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from leasehold.config import Settings
from leasehold.core.database import Database
from leasehold.core.figures import Family
from leasehold.core.pagination import Cursors
from leasehold.core.passwords import Passwords
from leasehold.core.places import Places
from leasehold.core.quotas.memory import ProcessQuotas
from leasehold.core.quotas.shared import SharedQuotas
from leasehold.core.signed_links import SignedLinks
from leasehold.core.spans import Spans
from leasehold.core.stopping import Stopping
from leasehold.core.tokens import AccessTokens
from leasehold.core.usage import UsageMeter
from leasehold.core.vault import InstallationKey
from leasehold.mail.links import Links
from leasehold.platform.tokens.verification import AdminTokens
from leasehold.tenancy.archive.exporting import Exporter
from leasehold.tenancy.archive.importing import Importer
from leasehold.tenancy.archive.platform_exporting import PlatformExporter
from leasehold.tenancy.bind import ReaderPool
from leasehold.tenancy.clone import Cloner
from leasehold.tenancy.directory import KnownSubjects, TenantDirectory
from leasehold.tenancy.entitlements import Catalogue
from leasehold.tenancy.feed import DirectoryFeed
from leasehold.tenancy.owner import Owner
from leasehold.tenancy.provision import Provisioner
from leasehold.tenancy.purge import Purger
from leasehold.tenancy.restores.restoring import Restorer
from leasehold.tenancy.window import RevisionWindow
from leasehold.workspace.keys.verification import ApiKeys
from leasehold.workspace.sessions.service import Lifetimes
from leasehold.workspace.uses import Uses


@dataclass(frozen=True, slots=True)
class Process:
    """The parts of one process."""

    settings: Settings
    database: Database
    readers: ReaderPool
    directory: TenantDirectory
    subjects: KnownSubjects
    feed: DirectoryFeed
    window: RevisionWindow
    owner: Owner
    provisioner: Provisioner
    purger: Purger
    cloner: Cloner
    exporter: Exporter
    platform_exporter: PlatformExporter
    importer: Importer
    restorer: Restorer
    key: InstallationKey
    tokens: AccessTokens
    passwords: Passwords
    cursors: Cursors
    signed_links: SignedLinks
    links: Links
    lifetimes: Lifetimes
    api_keys: ApiKeys
    admin_tokens: AdminTokens
    client_uses: Uses
    key_uses: Uses
    uploads: Places
    """Who may keep a body on the disk of this process."""
    usage: UsageMeter
    quotas: ProcessQuotas
    shared_quotas: SharedQuotas | None
    """Those that all processes count together, where the settings want it so."""
    catalogue: Catalogue
    """What plans can say something about."""
    spans: Spans | None
    """Who records traces."""
    outdated_revisions: frozenset[str]
    """Revisions of the shared schema with which this code is not ready to serve."""
    stopping: Stopping
    sources: list[Callable[[], Iterable[Family]]] = field(default_factory=list[Callable[[], Iterable[Family]]])
    """What else counts something in this process, such as the server or the worker that runs in it."""

    def __deepcopy__(self, _memo: object) -> "Process":
        """Return itself: Litestar copies routers with all that hangs on them, and a copied directory would be stale."""
        return self
