"""The features of the platform plane. A new one is named here, and nowhere else."""

from leasehold.platform.admins.models import Admin, AdminToken
from leasehold.platform.fleet.routes import router as fleet_router
from leasehold.platform.tenants.routes import router as tenants_router

PLATFORM_ROUTES = (tenants_router, fleet_router)
"""What is served under `/platform/v1`. Importing it also registers the tables of the shared schema."""

MODELS = (Admin, AdminToken)
"""Tables of features that have no routes."""
