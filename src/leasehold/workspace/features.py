"""The features of the tenant plane. A new one is named here, and nowhere else."""

from leasehold.tenancy.jobs.definition import Periodic
from leasehold.tenancy.jobs.enqueue import of_each_tenant
from leasehold.workspace.account.routes import router as account_router
from leasehold.workspace.attempts.jobs import forget_attempts
from leasehold.workspace.audit.routes import router as audit_router
from leasehold.workspace.auth.pepper import TENANT_SECRETS
from leasehold.workspace.auth.routes import router as auth_router
from leasehold.workspace.clients.jobs import note_use as note_use_of_client
from leasehold.workspace.clients.repository import CLIENTS_BOUND_TO_ID
from leasehold.workspace.clients.routes import router as clients_router
from leasehold.workspace.confirmations.jobs import expire_confirmations, send_confirmation
from leasehold.workspace.confirmations.repository import CONFIRMATIONS_BOUND_TO_ID
from leasehold.workspace.deletion.routes import router as deletion_router
from leasehold.workspace.exports.jobs import forget_exports, make_export
from leasehold.workspace.exports.routes import router as exports_router
from leasehold.workspace.factors.service import TOTP_SECRETS
from leasehold.workspace.idempotency.jobs import forget_answers
from leasehold.workspace.invitations.jobs import expire_invitations, send_invitation
from leasehold.workspace.invitations.repository import INVITATIONS_BOUND_TO_ID
from leasehold.workspace.invitations.routes import router as invitations_router
from leasehold.workspace.items.routes import router as items_router
from leasehold.workspace.keys.jobs import note_use as note_use_of_key
from leasehold.workspace.keys.repository import KEYS_BOUND_TO_ID
from leasehold.workspace.keys.routes import router as keys_router
from leasehold.workspace.limits.routes import router as limits_router
from leasehold.workspace.oauth.routes import router as oauth_router
from leasehold.workspace.sessions.jobs import expire_sessions
from leasehold.workspace.sessions.repository import SESSIONS_BOUND_TO_ID
from leasehold.workspace.settings.routes import router as settings_router
from leasehold.workspace.usage.routes import router as usage_router
from leasehold.workspace.users.routes import router as users_router

V1_ROUTES = (
    items_router,
    users_router,
    invitations_router,
    clients_router,
    keys_router,
    settings_router,
    limits_router,
    usage_router,
    deletion_router,
    exports_router,
    audit_router,
    auth_router,
    account_router,
)
"""What is served under `/v1`. Importing it also registers every table of a tenant's schema."""

TENANT_JOBS = (
    note_use_of_client,
    note_use_of_key,
    send_confirmation,
    send_invitation,
    make_export,
    forget_exports,
    forget_answers,
    expire_sessions,
    expire_confirmations,
    expire_invitations,
    forget_attempts,
)
"""Jobs that run for a tenant."""

PERIODIC = (
    Periodic("41 * * * *", of_each_tenant(forget_answers)),
    Periodic("7 1 * * *", of_each_tenant(expire_sessions)),
    Periodic("7 2 * * *", of_each_tenant(expire_confirmations)),
    Periodic("7 3 * * *", of_each_tenant(expire_invitations)),
    Periodic("7 4 * * *", of_each_tenant(forget_attempts)),
    Periodic("7 5 * * *", of_each_tenant(forget_exports)),
)
"""Jobs of every active tenant that run by the clock, in UTC."""

OAUTH_ROUTES = (oauth_router,)
"""What is served at the root, as the OAuth standards name it."""

WRAPPED = (TENANT_SECRETS, TOTP_SECRETS)
"""The columns of a tenant's tables whose values are wrapped by the installation key."""

BOUND_TO_ID = (
    KEYS_BOUND_TO_ID,
    CLIENTS_BOUND_TO_ID,
    SESSIONS_BOUND_TO_ID,
    INVITATIONS_BOUND_TO_ID,
    CONFIRMATIONS_BOUND_TO_ID,
)
"""The credentials that name their tenant, and end where it is imported under another id."""
