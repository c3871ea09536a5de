"""`/platform/v1/admins`."""

from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import UnknownScope
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.preconditions import Precondition
from leasehold.core.vault import InstallationKey
from leasehold.platform.admins.schemas import Admin, AdminCreate, AdminPatch, PasswordSetup
from leasehold.platform.admins.service import AdminNameTaken, AdminService, LastAdmin

READ = ("platform:admins:read",)
WRITE = ("platform:admins:write",)


def provide_admins(
    session: NamedDependency[PlatformSession], installation_key: NamedDependency[InstallationKey]
) -> AdminService:
    """Return the service on the session of the request."""
    return AdminService(session, installation_key)


@get("/", operation_id="listAdmins", summary="List admins", scopes=READ)
async def list_admins(
    admins: NamedDependency[AdminService],
    cursors: NamedDependency[Cursors],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Admin]:
    """Return one page of admins in the order they were made."""
    return await admins.page(Pager(cursors, limit, cursor))


@post("/", operation_id="createAdmin", summary="Create an admin", problems=(AdminNameTaken, UnknownScope), scopes=WRITE)
async def create_admin(
    data: JSONBody[AdminCreate], admins: NamedDependency[AdminService], actor: NamedDependency[Actor]
) -> PasswordSetup:
    """Make an admin, and return the secret by which they choose a password."""
    admin = await admins.create(data.name, scopes=data.scopes, by=actor)
    return await admins.setup(admin.id, by=actor)


@get("/{admin_id:uuid}", operation_id="getAdmin", summary="Get an admin", scopes=READ)
async def get_admin(admin_id: FromPath[UUID], admins: NamedDependency[AdminService]) -> Admin:
    """Return one admin."""
    return await admins.find(admin_id)


@patch(
    "/{admin_id:uuid}",
    operation_id="updateAdmin",
    summary="Change or disable an admin",
    problems=(LastAdmin, UnknownScope),
    scopes=WRITE,
)
async def update_admin(
    admin_id: FromPath[UUID],
    data: JSONBody[AdminPatch],
    admins: NamedDependency[AdminService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Admin:
    """Change what an admin may do; one who is disabled is refused at once."""
    return await admins.change(admin_id, data, precondition=precondition, by=actor)


@post(
    "/{admin_id:uuid}/password-setup",
    operation_id="setUpAdminPassword",
    summary="Let an admin choose a password",
    scopes=WRITE,
)
async def set_up_password(
    admin_id: FromPath[UUID], admins: NamedDependency[AdminService], actor: NamedDependency[Actor]
) -> PasswordSetup:
    """Return a secret by which an admin who has forgotten the password chooses another."""
    return await admins.setup(admin_id, by=actor)


@delete(
    "/{admin_id:uuid}/totp", operation_id="removeAdminsTotp", summary="Remove an admin's second factor", scopes=WRITE
)
async def remove_totp(
    admin_id: FromPath[UUID], admins: NamedDependency[AdminService], actor: NamedDependency[Actor]
) -> None:
    """Ask an admin for no codes any more, who has lost the device and the recovery codes."""
    await admins.remove_totp(admin_id, by=actor)


router = Router(
    "/admins",
    route_handlers=[list_admins, create_admin, get_admin, update_admin, set_up_password, remove_totp],
    dependencies={"admins": Provide(provide_admins, sync_to_thread=False)},
    tags=["admins"],
)
