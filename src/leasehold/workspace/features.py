"""The features of the tenant plane. A new one is named here, and nowhere else."""

from leasehold.tenancy.jobs.definition import Periodic
from leasehold.tenancy.jobs.enqueue import of_each_tenant
from leasehold.workspace.auth.routes import oauth_router, who_am_i
from leasehold.workspace.auth.routes import router as auth_router
from leasehold.workspace.clients.jobs import note_use
from leasehold.workspace.clients.routes import router as clients_router
from leasehold.workspace.idempotency.jobs import forget_answers
from leasehold.workspace.items.routes import router as items_router
from leasehold.workspace.users.routes import router as users_router

V1_ROUTES = (items_router, users_router, clients_router, auth_router, who_am_i)
"""What is served under `/v1`. Importing it also registers every table of a tenant's schema."""

TENANT_JOBS = (note_use, forget_answers)
"""Jobs that run for a tenant."""

PERIODIC = (Periodic("41 * * * *", of_each_tenant(forget_answers)),)
"""Jobs of every active tenant that run by the clock, in UTC."""

OAUTH_ROUTES = (oauth_router,)
"""What is served at the root, as the OAuth standards name it."""
