"""The features of the tenant plane. A new one is named here, and nowhere else."""

from leasehold.workspace.auth.routes import oauth_router, who_am_i
from leasehold.workspace.auth.routes import router as auth_router
from leasehold.workspace.clients.jobs import note_use as note_use_of_client
from leasehold.workspace.clients.routes import router as clients_router
from leasehold.workspace.items.routes import router as items_router
from leasehold.workspace.keys.jobs import note_use as note_use_of_key
from leasehold.workspace.keys.routes import router as keys_router
from leasehold.workspace.users.routes import router as users_router

V1_ROUTES = (items_router, users_router, clients_router, keys_router, auth_router, who_am_i)
"""What is served under `/v1`. Importing it also registers every table of a tenant's schema."""

TENANT_JOBS = (note_use_of_client, note_use_of_key)
"""Jobs that run for a tenant."""

OAUTH_ROUTES = (oauth_router,)
"""What is served at the root, as the OAuth standards name it."""
