"""The features of the platform plane. A new one is named here, and nowhere else."""

from leasehold.platform.account.routes import router as account_router
from leasehold.platform.admins.routes import router as admins_router
from leasehold.platform.attempts.jobs import forget_attempts
from leasehold.platform.audit.routes import router as audit_router
from leasehold.platform.auth.jobs import expire_sessions
from leasehold.platform.auth.routes import router as auth_router
from leasehold.platform.auth.second_factor import ADMIN_SECRETS
from leasehold.platform.clones.jobs import make_clone
from leasehold.platform.clones.routes import router as clones_router
from leasehold.platform.entitlements.routes import router as entitlements_router
from leasehold.platform.fleet.routes import router as fleet_router
from leasehold.platform.idempotency.jobs import forget_answers
from leasehold.platform.idempotency.models import KeptAnswer
from leasehold.platform.impersonations.routes import router as impersonations_router
from leasehold.platform.jobs.routes import router as jobs_router
from leasehold.platform.keys.jobs import forget_gone
from leasehold.platform.lifecycle.jobs import fill_vacancies, purge_due, purge_tenant
from leasehold.platform.lifecycle.routes import router as lifecycle_router
from leasehold.platform.plans.routes import router as plans_router
from leasehold.platform.tenants.routes import router as tenants_router
from leasehold.platform.tokens.jobs import expire_tokens
from leasehold.platform.tokens.routes import router as tokens_router
from leasehold.platform.usage.jobs import forget_usage, measure_sizes
from leasehold.platform.usage.routes import router as usage_router
from leasehold.tenancy.jobs.definition import Periodic
from leasehold.tenancy.jobs.models import JobWorker, PeriodicTask, QueuedJob
from leasehold.tenancy.receipts import ProvisioningReceipt
from leasehold.tenancy.registry import TenantPurge
from leasehold.tenancy.secrets import SIGNING_KEYS
from leasehold.tenancy.signing import StoredSigningKey
from leasehold.tenancy.upkeep import tidy_up

PLATFORM_ROUTES = (
    tenants_router,
    lifecycle_router,
    clones_router,
    plans_router,
    entitlements_router,
    usage_router,
    fleet_router,
    jobs_router,
    audit_router,
    admins_router,
    auth_router,
    account_router,
    tokens_router,
    impersonations_router,
)
"""What is served under `/platform/v1`. Importing it also registers the tables of the shared schema."""

MODELS = (KeptAnswer, ProvisioningReceipt, TenantPurge, QueuedJob, JobWorker, PeriodicTask, StoredSigningKey)
"""Tables of features that have no routes."""

PLATFORM_JOBS = (purge_tenant, make_clone)
"""Jobs that the platform asks for."""

PERIODIC = (
    Periodic("17 * * * *", expire_tokens),
    Periodic("7 5 * * *", expire_sessions),
    Periodic("7 6 * * *", forget_attempts),
    Periodic("47 * * * *", forget_gone),
    Periodic("37 * * * *", forget_answers),
    Periodic("*/10 * * * *", tidy_up),
    Periodic("* * * * *", fill_vacancies),
    Periodic("*/5 * * * *", purge_due),
    Periodic("41 * * * *", measure_sizes),
    Periodic("23 4 * * *", forget_usage),
)
"""Jobs of the platform that run by the clock, in UTC."""

WRAPPED_OF_PLATFORM = (SIGNING_KEYS, *ADMIN_SECRETS)
"""The columns of shared tables whose values are wrapped by the installation key."""
