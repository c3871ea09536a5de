"""The app factory. Nothing happens at import, and nothing is opened before the server starts the app's lifespan."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

import structlog
from litestar import Litestar

from leasehold.config import Settings
from leasehold.core import uploads
from leasehold.core.budget import CLAIM_CONNECTIONS, ConnectionBudget, connection_budget
from leasehold.core.database import Database, open_engine, platform_session
from leasehold.core.ending import ended
from leasehold.core.errors import Unavailable
from leasehold.core.failures import kind_of
from leasehold.core.figures import RequestFigures
from leasehold.core.log import configure_logging
from leasehold.core.models import PlatformModel, TenantModel
from leasehold.core.pagination import Cursors
from leasehold.core.passwords import Passwords
from leasehold.core.places import Places
from leasehold.core.quotas.memory import ProcessQuotas
from leasehold.core.quotas.opening import open_valkey
from leasehold.core.quotas.shared import SharedQuotas
from leasehold.core.signed_links import SignedLinks
from leasehold.core.signing import KeyRing
from leasehold.core.spans import Spans
from leasehold.core.stopping import Stopping
from leasehold.core.tokens import AccessTokens
from leasehold.core.usage import UsageMeter
from leasehold.core.vault import InstallationKey
from leasehold.http.bodies import StrictRequest
from leasehold.http.cors import AllowedOrigins, CrossOrigin
from leasehold.http.departing import Departing
from leasehold.http.errors import exception_handlers
from leasehold.http.headers import AnswerHeaders
from leasehold.http.marks import CLIENT_TIMEOUT_S
from leasehold.http.openapi.document import openapi_config
from leasehold.http.openapi.pages import SCRIPT
from leasehold.http.request_log import RequestLog
from leasehold.http.responses import JsonResponse
from leasehold.http.routers import IdempotentPosts, OneDependencyAfterAnother, route_handlers
from leasehold.mail.links import Links
from leasehold.observe.meeting import telling
from leasehold.observe.traces import close_spans, open_spans
from leasehold.platform.features import WRAPPED_OF_PLATFORM
from leasehold.platform.keys.service import KeyService
from leasehold.platform.tokens.verification import AdminTokens
from leasehold.platform.usage.flush import flush_usage
from leasehold.process import Process
from leasehold.tenancy.archive.exporting import Exporter
from leasehold.tenancy.archive.filling import Filler
from leasehold.tenancy.archive.importing import Importer
from leasehold.tenancy.archive.platform_exporting import PlatformExporter
from leasehold.tenancy.audit.owner import record_provisioning
from leasehold.tenancy.bind import BindableConnection, ReaderPool, Statements, prepare_engine
from leasehold.tenancy.clone import Cloner
from leasehold.tenancy.connections import Connections
from leasehold.tenancy.directory import KnownSubjects, TenantDirectory
from leasehold.tenancy.feed import DirectoryFeed
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.owner import Owner
from leasehold.tenancy.provision import Provisioner
from leasehold.tenancy.purge import Purger
from leasehold.tenancy.quotas import PostgresQuotas
from leasehold.tenancy.readiness import outdated_revisions
from leasehold.tenancy.restores.restoring import Restorer
from leasehold.tenancy.signing import SigningKeyWatch
from leasehold.tenancy.window import RevisionWindow
from leasehold.worker.running import worker_inside
from leasehold.workspace.auth.pepper import pepper_seed
from leasehold.workspace.catalogue import CATALOGUE
from leasehold.workspace.clients.jobs import note_use as note_use_of_client
from leasehold.workspace.features import BOUND_TO_ID, WRAPPED
from leasehold.workspace.keys.jobs import note_use as note_use_of_key
from leasehold.workspace.keys.verification import ApiKeys
from leasehold.workspace.sessions.service import Lifetimes
from leasehold.workspace.uses import Uses

_GC_THRESHOLDS = (50_000, 20, 50)
_FLUSH_TIMEOUT_S = 5.0
_QUOTA_TIMEOUT_S = 1.0
"""So long a call to the store of the quotas may take; then the store is away, and the process counts by itself."""

_log = structlog.get_logger(__name__)


def build_process(
    settings: Settings,
    *,
    budget: ConnectionBudget | None = None,
    statement_ms: int | None = None,
    spans: Spans | None = None,
) -> Process:
    """Return the parts of a process, none of them connected yet. Without a budget it is that of a serving one.

    With `statement_ms`, a tenant's statements are ended after so many milliseconds, or after as many as its plan says.
    `spans` records traces, and is closed with the process.

    Raises:
        InvalidInstallationKey: the installation key is none.
        BrokenHistory: the tenant history cannot be read.
        ValkeyNotInstalled: requests are to be counted in Valkey, and the extra for it is missing.
    """
    key = installation_key(settings)
    tokens = AccessTokens(KeyRing(), issuer=settings.issuer, lifetime_s=settings.access_token_seconds)
    owner = Owner(settings.owner_url.get_secret_value() if settings.owner_url else None)
    database_url = settings.database_url.get_secret_value()
    direct_url = settings.direct_url.get_secret_value() if settings.direct_url else None
    history = TenantHistory.load(settings.migrations_dir)
    directory = TenantDirectory(max_age_s=settings.directory_max_age_s)
    subjects = KnownSubjects()
    usage = UsageMeter()
    quotas = ProcessQuotas()
    statements = Statements(slow_ms=settings.slow_statement_ms, spans=spans)
    budget = budget or connection_budget(
        pool_size=settings.pool_size, workers=settings.workers, tenant_share=settings.tenant_share
    )
    engine = open_engine(
        database_url,
        pool_size=budget.sessions,
        pool_timeout_s=settings.pool_timeout_s,
        prepared_statements=settings.prepared_statements,
        connection_class=BindableConnection,
    )
    readers = ReaderPool(
        database_url,
        size=budget.readers,
        share=budget.share_of(budget.readers),
        sub_pools=settings.sub_pools,
        max_tenants=settings.tenants_per_connection,
        timeout_s=settings.pool_timeout_s,
        prepared_statements=settings.prepared_statements,
        tenant_roles=settings.tenant_roles,
        statement_ms=statement_ms,
        usage=usage,
        statements=statements,
    )
    provisioner = Provisioner(
        owner=owner,
        app=Connections(database_url, size=CLAIM_CONNECTIONS, prepared_statements=settings.prepared_statements),
        history=history,
        metadata=TenantModel.metadata,
        seeds=[pepper_seed(key)],
        record=record_provisioning,
        tenant_roles=settings.tenant_roles,
    )
    purger = Purger(owner)
    importer = Importer(
        owner_url=settings.owner_url.get_secret_value() if settings.owner_url else None,
        filler=Filler(history, TenantModel.metadata, key, WRAPPED),
        bound_to_id=BOUND_TO_ID,
        tenant_roles=settings.tenant_roles,
        base_domain=settings.base_domain,
    )
    database = Database(
        prepare_engine(engine, max_tenants=settings.tenants_per_connection, statements=statements),
        tenant_roles=settings.tenant_roles,
        usage=usage,
        places=Places(budget.sessions, share=budget.share_of(budget.sessions), timeout_s=settings.pool_timeout_s),
        statement_ms=statement_ms,
    )
    return Process(
        settings=settings,
        database=database,
        readers=readers,
        directory=directory,
        subjects=subjects,
        feed=DirectoryFeed(
            directory,
            subjects,
            SigningKeyWatch(key, tokens.use),
            url=direct_url or database_url,
            listen=direct_url is not None,
            poll_s=settings.directory_poll_s,
        ),
        window=RevisionWindow(known=history.revisions, served=history.served_revisions()),
        owner=owner,
        provisioner=provisioner,
        purger=purger,
        cloner=Cloner(provisioner, TenantModel.metadata),
        exporter=Exporter(
            url=direct_url or database_url,
            key=key,
            secrets=WRAPPED,
            metadata=TenantModel.metadata,
            tenant_roles=settings.tenant_roles,
        ),
        platform_exporter=PlatformExporter(
            url=direct_url or database_url, key=key, secrets=WRAPPED_OF_PLATFORM, metadata=PlatformModel.metadata
        ),
        importer=importer,
        restorer=Restorer(importer, owner, purger, tenant_roles=settings.tenant_roles),
        key=key,
        tokens=tokens,
        passwords=Passwords(
            concurrency=settings.password_hashes,
            memory_kib=settings.password_memory_kib,
            iterations=settings.password_iterations,
        ),
        links=Links(settings.app_url),
        lifetimes=Lifetimes(
            idle=timedelta(seconds=settings.session_idle_seconds), longest=timedelta(seconds=settings.session_seconds)
        ),
        cursors=Cursors(*key.derived("cursors")),
        signed_links=SignedLinks(settings.issuer, *key.derived("signed links")),
        api_keys=ApiKeys(readers, subjects, key, timeout_s=settings.pool_timeout_s),
        admin_tokens=AdminTokens(database, key, timeout_s=settings.pool_timeout_s),
        client_uses=Uses(note_use_of_client),
        key_uses=Uses(note_use_of_key),
        uploads=Places(uploads.AT_ONCE, share=uploads.AT_ONCE_OF_ONE, timeout_s=settings.pool_timeout_s),
        usage=usage,
        quotas=quotas,
        shared_quotas=_shared_quotas(settings, quotas),
        catalogue=CATALOGUE,
        spans=spans,
        outdated_revisions=outdated_revisions(settings.migrations_dir),
        stopping=Stopping(),
    )


def _shared_quotas(settings: Settings, alone: ProcessQuotas) -> SharedQuotas | None:
    if settings.rate_limit_store == "process":
        return None
    if settings.rate_limit_store == "valkey":
        if settings.valkey_url is None:
            raise ValueError("a setting that the settings demand is missing: valkey_url")
        url = settings.valkey_url.get_secret_value()
        return SharedQuotas(open_valkey(url, installation=settings.issuer, timeout_s=_QUOTA_TIMEOUT_S), alone)
    store = PostgresQuotas(
        settings.database_url.get_secret_value(),
        timeout_s=_QUOTA_TIMEOUT_S,
        prepared_statements=settings.prepared_statements,
    )
    return SharedQuotas(store, alone)


def installation_key(settings: Settings) -> InstallationKey:
    """Return the installation key, and with it the next and the former one where the settings have them.

    Raises:
        InvalidInstallationKey: one of them is no key.
    """
    others = [
        key.get_secret_value() for key in (settings.next_installation_key, settings.former_installation_key) if key
    ]
    return InstallationKey(settings.installation_key.get_secret_value(), others=others)


async def ensure_signing_key(process: Process) -> None:
    """Make the first key that signs access tokens, if there is none.

    Raises:
        WrongInstallationKey: there are keys, and they were wrapped by another installation key.
    """
    async with platform_session(process.database) as session:
        await KeyService(session, process.key).ensure_first()


@asynccontextmanager
async def closing(process: Process) -> AsyncGenerator[None]:
    """Close at the end of the block whatever the process has opened, and all of it whatever one part raises."""
    async with AsyncExitStack() as last_first:
        if process.spans is not None:
            last_first.push_async_callback(close_spans, process.spans)
        last_first.push_async_callback(process.database.close)
        last_first.push_async_callback(process.readers.close)
        last_first.callback(process.passwords.close)
        if process.shared_quotas is not None:
            last_first.push_async_callback(process.shared_quotas.close)
        last_first.push_async_callback(process.provisioner.app.close)
        last_first.push_async_callback(process.owner.close)
        last_first.push_async_callback(process.feed.close)
        yield


@asynccontextmanager
async def running(process: Process) -> AsyncGenerator[None]:
    """Fill the directory and the key ring and keep them fresh; at the end close whatever the process opened.

    Raises:
        WrongInstallationKey: the signing keys were wrapped by another installation key.
    """
    async with closing(process):
        await ensure_signing_key(process)
        await process.feed.start()
        await process.database.fill_pool()
        await process.readers.fill()
        yield


@asynccontextmanager
async def flushing(process: Process) -> AsyncGenerator[None]:
    """Hand over now and then (`Settings.flush_s`), and at the end, what the process has gathered about its tenants."""

    async def flush_one(hand_over: Awaitable[None]) -> None:
        try:
            # A server that is to stop waits for no database.
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await hand_over
        except (Unavailable, TimeoutError):
            pass  # it is kept for the next time
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one of them
            # So is this; a server whose schema is not migrated yet must not stop flushing for good.
            _log.exception("flush_failed", error=kind_of(error))

    async def flush() -> None:
        await flush_one(flush_usage(process.usage, process.database))  # first: it waits for none of the others
        await flush_one(process.client_uses.flush(process.database))
        await flush_one(process.key_uses.flush(process.database))
        if process.shared_quotas is not None:
            await flush_one(process.shared_quotas.forget_whole())

    async def flush_for_ever() -> None:
        while True:
            await asyncio.sleep(process.settings.flush_s)
            await flush()

    task = asyncio.create_task(flush_for_ever(), name="flush")
    try:
        yield
    finally:
        await ended(task)
        await flush()


@asynccontextmanager
async def collecting_less() -> AsyncGenerator[None]:
    """Keep what was made at start out of every garbage collection to come, and collect less often."""
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def create_app(settings: Settings | None = None, *, spans: Spans | None = None) -> RequestLog:
    """Return the ASGI application for these settings, or for those of the environment.

    Raises:
        TracesNotInstalled: the settings want traces, and the extra for it is missing.
    """
    settings = settings or Settings()  # pyright: ignore[reportCallIssue]
    lines = configure_logging(level=settings.log_level, form=settings.log_format)
    process = build_process(settings, statement_ms=settings.statement_timeout_ms, spans=spans or open_spans(settings))
    figures = RequestFigures() if settings.metrics_port else None
    if figures is not None:
        process.sources.append(figures.families)
    app = Litestar(
        route_handlers=route_handlers(process),
        lifespan=[
            lambda _app: lines.gathering(),
            lambda _app: running(process),
            lambda _app: flushing(process),
            *([lambda _app: worker_inside(process)] if settings.worker_inside else []),
            *_telling(process),
            lambda _app: collecting_less(),
        ],
        exception_handlers=exception_handlers(),
        openapi_config=openapi_config(version("leasehold")),
        request_max_body_size=settings.max_body_bytes,
        opt={CLIENT_TIMEOUT_S: settings.client_timeout_s},
        request_class=StrictRequest,
        response_class=JsonResponse,
        plugins=[OneDependencyAfterAnother(), IdempotentPosts()],
        logging_config=None,
    )
    app.state.process = process
    origins = AllowedOrigins(settings.cors_origins)
    return RequestLog(
        app,
        process.usage,
        headers=AnswerHeaders(docs_script=SCRIPT, hsts_seconds=settings.hsts_seconds),
        serve=Departing(CrossOrigin(app, origins) if settings.cors_origins else app, process.stopping),
        figures=figures,
        spans=process.spans,
    )


def _telling(process: Process) -> list[Callable[[Litestar], AbstractAsyncContextManager[None]]]:
    """Return what lets the figures of a process be asked for, where something is to ask."""
    folder = process.settings.metrics_dir
    if not process.settings.metrics_port or folder is None:
        return []
    return [lambda _app: telling(process, folder)]
