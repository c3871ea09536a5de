"""The settings of one process: read from the environment once, frozen, and passed down from `create_app` or the CLI.

Nothing here is read at import. Every field has a line in `.env.example`; a test holds the two together.
"""

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def _check_database_url(url: SecretStr) -> SecretStr:
    if not DATABASE_URL.match(url.get_secret_value()):
        raise ValueError("a database URL looks like postgresql://user:password@host:5432/database")
    return url


DATABASE_URL = re.compile(r"^postgres(?:ql)?(?:\+asyncpg)?://[^/\s]+/[^/?\s]+(?:\?\S+)?$")
DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database_url)]


def _check_issuer(issuer: str) -> str:
    if not _ISSUER.match(issuer):
        raise ValueError("an issuer looks like https://example.com, without a path and a slash at the end")
    return issuer


_ISSUER = re.compile(r"^https?://[^/?#\s]+$")
Issuer = Annotated[str, AfterValidator(_check_issuer)]


def _check_smtp_url(url: SecretStr) -> SecretStr:
    if not _SMTP_URL.match(url.get_secret_value()):
        raise ValueError("an SMTP URL looks like smtp://user:password@host:587 or smtps://user:password@host:465")
    return url


def _check_networks(text: str) -> str:
    networks_of(text)
    return text


def networks_of(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that a text names, with commas between them.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _check_windows(text: str) -> str:
    windows_of(text)
    return text


def windows_of(text: str) -> tuple[tuple[int, int], ...]:
    """Return the windows that a text names, with commas between them: requests, and in how many seconds.

    Raises:
        ValueError: one of them is none, is named twice, or cannot be counted.
    """
    if text.strip().lower() == "off":
        return ()
    windows: dict[int, int] = {}
    for part in text.split(","):
        found = _WINDOW.match(part.strip())
        if found is None:
            raise ValueError("a rate limit looks like 2000/10s,360000/1h, with the units s, m, h and d, or off")
        requests, seconds = int(found[1]), int(found[2] or 1) * _UNIT_SECONDS[found[3]]
        if not 1 <= seconds <= _LONGEST_WINDOW_S or not 1 <= requests <= seconds * _MOST_PER_SECOND:
            raise ValueError("a rate limit allows 1 to 1,000,000 requests per second, in windows of up to 30 days")
        if seconds in windows:
            raise ValueError("a rate limit names each window once")
        windows[seconds] = requests
    return tuple((windows[seconds], seconds) for seconds in sorted(windows))


_WINDOW = re.compile(r"^([0-9]{1,15})/([0-9]{0,9})([smhd])$")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_WINDOW_S = 30 * 86_400
_MOST_PER_SECOND = 1_000_000
RateLimit = Annotated[str, AfterValidator(_check_windows)]


def _check_origins(text: str) -> str:
    for origin in origins_of(text):
        if origin != "*" and not _ORIGIN.match(origin):
            raise ValueError("an origin looks like https://app.example.com, https://*.example.com for all below, or *")
    return text


def origins_of(text: str) -> tuple[str, ...]:
    """Return the origins that a text names, with commas between them."""
    return tuple(part.strip().lower() for part in text.split(",") if part.strip())


_ORIGIN = re.compile(r"^https?://(?:\*\.)?[a-z0-9.-]+(?::[0-9]{1,5})?$")
Origins = Annotated[str, AfterValidator(_check_origins)]


def _check_app_url(url: str) -> str:
    try:
        url.format(slug="acme")
    except (LookupError, ValueError) as error:
        raise ValueError("an app URL looks like https://{slug}.example.com") from error
    if not url.startswith(("https://", "http://")):
        raise ValueError("an app URL looks like https://{slug}.example.com")
    return url


AppUrl = Annotated[str, AfterValidator(_check_app_url)]
_SMTP_URL = re.compile(r"^smtps?://[^/\s]+/?$")
SmtpUrl = Annotated[SecretStr, AfterValidator(_check_smtp_url)]


def _check_backup_url(url: str) -> str:
    if not _BACKUP_URL.match(url):
        raise ValueError("a backup URL looks like file:///a/folder or s3://a-bucket/prefix")
    return url


_BACKUP_URL = re.compile(r"^(?:file:///[^?#\s]+|s3://[^/?#@\s]+(?:/[^?#\s]*)?)$")
BackupUrl = Annotated[str, AfterValidator(_check_backup_url)]


def _check_keep(text: str) -> str:
    keep_of(text)
    return text


def keep_of(text: str) -> dict[str, timedelta]:
    """Return for how long backups are kept: `all` of them, and the last of each day, week and month.

    Raises:
        ValueError: the text says nothing, something else, or something twice.
    """
    kept: dict[str, timedelta] = {}
    for part in text.split(","):
        found = _KEEP.match(part.strip())
        if found is None or found[1] in kept:
            raise ValueError("how long backups are kept looks like all=3d,daily=30d,weekly=26w,monthly=12m")
        kept[found[1]] = timedelta(days=int(found[2]) * _UNIT_DAYS[found[3]])
    return kept


_KEEP = re.compile(r"^(all|daily|weekly|monthly)=([1-9][0-9]{0,3})([dwm])$")
_UNIT_DAYS = {"d": 1, "w": 7, "m": 31}
BackupKeep = Annotated[str, AfterValidator(_check_keep)]


def _check_valkey_url(url: SecretStr) -> SecretStr:
    if not _VALKEY_URL.match(url.get_secret_value()):
        raise ValueError("a Valkey URL looks like valkey://user:password@host:6379/0, or valkeys:// for TLS")
    return url


_VALKEY_URL = re.compile(r"^(?:valkey|redis)s?://[^/\s]+(?:/[0-9]*)?(?:\?\S*)?$")
ValkeyUrl = Annotated[SecretStr, AfterValidator(_check_valkey_url)]


def _check_store(store: str, info: ValidationInfo) -> str:
    if store == "valkey" and info.data.get("valkey_url") is None:
        raise ValueError("to count in Valkey, set LEASEHOLD_VALKEY_URL")
    return store


RateLimitStore = Annotated[Literal["process", "postgresql", "valkey"], AfterValidator(_check_store)]


class Settings(BaseSettings):
    """Everything that an operator may decide, from environment variables with the prefix `LEASEHOLD_`."""

    model_config = SettingsConfigDict(env_prefix="LEASEHOLD_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: DatabaseUrl
    """Where requests go, as the login `lh_app`; may point at PgBouncer in transaction mode."""

    direct_url: DatabaseUrl | None = None
    """The same login on PostgreSQL itself, for LISTEN. Without it the directory is polled."""

    owner_url: DatabaseUrl | None = None
    """The login `lh_owner` on PostgreSQL itself, for DDL. Without it, whatever needs DDL answers 503."""

    installation_key: SecretStr
    """Wraps every stored secret: `lhk_` and 32 bytes in base64url."""

    next_installation_key: SecretStr | None = None
    """The one that is to replace it: what is wrapped by it can be read, and nothing is wrapped by it yet."""

    former_installation_key: SecretStr | None = None
    """The one that it replaced: what is still wrapped by that can be read."""

    base_domain: Annotated[str, AfterValidator(str.lower)] = "localhost"
    """Tenants answer on `<slug>.<base_domain>`, the platform API on `<base_domain>` alone."""

    former_slug_seconds: int = Field(default=30 * 24 * 3600, ge=0, le=3650 * 24 * 3600)
    """For so long a slug that a tenant gave up is nobody else's, and its host sends requests on; 0 for no time."""

    issuer: Issuer = "http://localhost:8000"
    """The `iss` of every access token, one per installation: the URL of the base domain, without a path."""

    host: str = "127.0.0.1"
    """Address to serve on."""

    port: int = Field(default=8000, ge=0, le=65535)
    """Port to serve on."""

    workers: int = Field(default=1, ge=1, le=64)
    """Server processes."""

    drain_s: float = Field(default=5.0, ge=0, le=600)
    """Seconds in which a server that is told to stop is not ready, but serves: load balancers are to notice."""

    stop_grace_s: float = Field(default=20.0, ge=0, le=600)
    """Seconds that requests under way get to end after that; then they are cut off."""

    pool_size: int = Field(default=12, ge=2, le=500)
    """Connections that one process holds at most for requests; two thirds of them only read."""

    sub_pools: int = Field(default=4, ge=1, le=64)
    """Groups of reading connections among which tenants are divided, so that each backend meets fewer of them."""

    tenants_per_connection: int = Field(default=500, ge=1)
    """A connection that has served more tenants is replaced: a backend never forgets a table it has met."""

    pool_timeout_s: float = Field(default=5.0, gt=0)
    """Seconds that a request waits for a connection before it is answered 503."""

    tenant_share: float = Field(default=0.5, gt=0, le=1)
    """The part of these connections that one tenant may hold at once; more of its requests wait for them, up to 429."""

    statement_timeout_ms: int = Field(default=10_000, ge=0, le=600_000)
    """Milliseconds after which a statement of a request is ended, unless a plan says otherwise; 0 for never."""

    prepared_statements: bool = True
    """Off behind a PgBouncer older than 1.21, which loses prepared statements."""

    tenant_roles: bool = True
    """A role per tenant. Off only for engines that cannot have them: then the path alone separates tenants."""

    directory_poll_s: float = Field(default=0.5, gt=0)
    """Seconds between two looks at the change log where there is no `direct_url`."""

    directory_max_age_s: float = Field(default=10.0, gt=0)
    """A directory that was not confirmed for so many seconds answers tenant requests with 503."""

    access_token_seconds: int = Field(default=900, ge=1, le=900)
    """Life of an access token in seconds."""

    session_idle_seconds: int = Field(default=14 * 24 * 3600, ge=60)
    """Seconds after which the log-in of a user is over that was not continued by its refresh token."""

    session_seconds: int = Field(default=90 * 24 * 3600, ge=60)
    """Seconds after which the log-in of a user is over, however often it was continued."""

    admin_session_seconds: int = Field(default=12 * 3600, ge=60)
    """Seconds after which the log-in of an admin is over; it also is when its token runs out and was not renewed."""

    admin_totp_required: bool = False
    """Whether an admin who has logged in without a second factor may do nothing but add one."""

    app_url: AppUrl = "http://{slug}.localhost:8000"
    """Where the pages of a tenant are that mails link to: reset-password, confirm-email and accept-invitation."""

    trusted_proxies: Annotated[str, AfterValidator(_check_networks)] = ""
    """Networks of the proxies in front, with commas: their X-Forwarded-For and -Proto are believed, nobody else's."""

    cors_origins: Origins = ""
    """Origins whose pages may call the API, with commas; `https://*.example.com` for all below, `*` for any."""

    hsts_seconds: int = Field(default=0, ge=0)
    """For so many seconds browsers come back by TLS alone, to each host that has told them (RFC 6797); 0 tells none."""

    client_timeout_s: float = Field(default=30.0, gt=0, le=3600)
    """Seconds for the head of a request, for its body, and for the next part of an answer; then the client is cut off.

    A connection on which nothing is asked is closed after as many. An export gets five minutes in all, and so
    does an import of which 16 KiB or more arrive in each second.
    """

    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    """Largest request body in bytes; a route may raise it."""

    max_import_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """Largest body in bytes of an import, which is kept in a temporary file while it is carried out."""

    rate_limit_tenant: RateLimit = "10000/10s,1800000/1h"
    """Requests of all clients of one tenant together: windows with commas between them, or `off`."""

    rate_limit_client: RateLimit = "2000/10s,360000/1h"
    """Requests of one user, API client, API key or platform admin."""

    rate_limit_address: RateLimit = "600/1m"
    """Requests from one address to what hands out credentials of one tenant, or of the platform."""

    valkey_url: ValkeyUrl | None = None
    """Valkey or Redis, for the counting of requests alone: `valkey://`, or `valkeys://` for TLS."""

    rate_limit_store: RateLimitStore = "process"
    """Who counts: each process for itself, or PostgreSQL or Valkey for all of them, for a round trip per request."""

    password_hashes: int = Field(default=2, ge=1)
    """Password hashes computed at once in one process; each takes `password_memory_kib`."""

    password_memory_kib: int = Field(default=19_456, ge=8)
    """Memory of one argon2id hash in KiB."""

    password_iterations: int = Field(default=2, ge=1)
    """Passes of one argon2id hash."""

    worker_jobs: int = Field(default=8, ge=2, le=200)
    """Jobs that one worker runs at once; it holds as many connections."""

    worker_port: int = Field(default=8001, ge=0, le=65535)
    """Port on which a worker says how it is, on `host`; 0 for none."""

    worker_grace_s: float = Field(default=20.0, ge=0)
    """Seconds that running jobs get to end when a worker is stopped; then they are handed back."""

    worker_inside: bool = False
    """Whether the server runs a small worker inside, as `leasehold up` does."""

    job_poll_s: float = Field(default=0.5, gt=0)
    """Seconds between two looks for jobs; with a `direct_url` a new one is also heard of at once."""

    slow_statement_ms: int = Field(default=0, ge=0)
    """A statement that takes longer is logged without its values, in milliseconds; 0 for none."""

    traces: Literal["off", "otlp"] = "off"
    """Whether traces are sent by OTLP, to where OpenTelemetry's own variables say; needs the extra `otel`."""

    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Port on which the server tells Prometheus its figures, on `host`; 0 for none, and nothing is counted for it."""

    metrics_tenants: int = Field(default=20, ge=0, le=500)
    """The busiest tenants have series of their own, so many at most; all others are one series."""

    metrics_dir: Path | None = None
    """Folder in which the processes of one server meet to tell their figures; a temporary one if missing."""

    smtp_url: SmtpUrl | None = None
    """The mail server: `smtp://` (STARTTLS where it is offered, and always with a password) or `smtps://` (TLS)."""

    mail_from: str = "Leasehold <noreply@localhost>"
    """The sender of every mail."""

    mail_dir: Path | None = None
    """Where mails are kept as .eml files when there is no `smtp_url`. With neither they are only logged."""

    flush_s: float = Field(default=60.0, gt=0, le=3600)
    """Seconds after which what was counted of tenants is written; a process that is killed loses what came since."""

    vacancies: int = Field(default=5, ge=0, le=1000)
    """Schemas that the workers keep ready for new tenants."""

    deletion_grace_days: int = Field(default=30, ge=0, le=3650)
    """Days after which all that a deleted tenant had is destroyed, and until which it can be restored."""

    export_days: int = Field(default=7, ge=1, le=90)
    """Days for which a tenant can fetch an export of its data; then it is deleted."""

    export_link_seconds: int = Field(default=900, ge=60, le=7 * 24 * 3600)
    """For so long the link to the file of an export is good, for whoever has it."""

    backup_url: BackupUrl | None = None
    """Where backups go: `file:///folder`, or `s3://bucket/prefix` and S3's own variables; needs the extra `backup`."""

    backup_passphrase: SecretStr | None = None
    """Of all backups: it wraps the secrets in them, and nobody can restore one without it."""

    backup_passphrase_file: Path | None = None
    """The file whose first line is the passphrase of backups, where it is not given itself."""

    backup_keep: BackupKeep = "all=3d,daily=30d,weekly=26w,monthly=12m"
    """How long all backups are kept, then the last one of each day, of each week and of each month."""

    backup_purged_days: int = Field(default=30, ge=0, le=3650)
    """Days after which the backups of a tenant are deleted too that was purged."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe event that is logged."""

    log_format: Literal["json", "console"] = "json"
    """One JSON object per line, or lines for people."""

    migrations_dir: Path = PROJECT_ROOT / "migrations"
    """The folder that holds the two Alembic histories, `platform` and `tenant`."""

    @property
    def deletion_grace(self) -> timedelta:
        """How long a deleted tenant can be restored."""
        return timedelta(days=self.deletion_grace_days)
