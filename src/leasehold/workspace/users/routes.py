"""`/v1/users`."""

from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.passwords import CommonPassword, Passwords
from leasehold.core.preconditions import Precondition
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.workspace.limits.service import LimitExceeded
from leasehold.workspace.users.repository import USERS, UserReads
from leasehold.workspace.users.schemas import User, UserCreate, UserPatch
from leasehold.workspace.users.service import EmailTaken, LastOwner, UserService


@get("/", operation_id="listUsers", summary="List users", lists=USERS, scopes=("users:read",))
async def list_users(
    reader: NamedDependency[TenantReader],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[User]:
    """Return one page of users in the order they were made, or another."""
    return await UserReads(reader).page(Pager(cursors, limit, cursor), asked)


@post(
    "/",
    operation_id="createUser",
    summary="Create a user",
    problems=(EmailTaken, CommonPassword, LimitExceeded),
    scopes=("users:write",),
)
async def create_user(
    data: JSONBody[UserCreate],
    session: NamedDependency[TenantSession],
    passwords: NamedDependency[Passwords],
    actor: NamedDependency[Actor],
) -> User:
    """Make a user; its role may give no more than the caller holds."""
    password_hash = (
        await passwords.hash_new(data.password, about=(data.email, data.name)) if data.password is not None else None
    )
    return await UserService(session=session).add(
        email=data.email, name=data.name, role=data.role, password_hash=password_hash, by=actor
    )


@get("/{user_id:uuid}", operation_id="getUser", summary="Get a user", scopes=("users:read",))
async def get_user(user_id: FromPath[UUID], reader: NamedDependency[TenantReader]) -> User:
    """Return one user."""
    return await UserReads(reader).find(user_id)


@patch(
    "/{user_id:uuid}",
    operation_id="updateUser",
    summary="Change a user",
    problems=(EmailTaken, LastOwner, LimitExceeded),
    scopes=("users:write",),
)
async def update_user(
    user_id: FromPath[UUID],
    data: JSONBody[UserPatch],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> User:
    """Change the fields that are given."""
    return await UserService(session=session).change(user_id, data, precondition=precondition, by=actor)


@delete(
    "/{user_id:uuid}",
    operation_id="deleteUser",
    summary="Delete a user",
    problems=(LastOwner,),
    scopes=("users:write",),
)
async def delete_user(
    user_id: FromPath[UUID],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> None:
    """Delete a user; its tokens end at once."""
    await UserService(session=session).remove(user_id, precondition=precondition, by=actor)


@delete(
    "/{user_id:uuid}/totp",
    operation_id="removeUsersTotp",
    summary="Remove a user's second factor",
    scopes=("users:write",),
)
async def remove_totp(
    user_id: FromPath[UUID], session: NamedDependency[TenantSession], actor: NamedDependency[Actor]
) -> None:
    """Ask a user for no second factor any more, who has lost the app and the recovery codes."""
    await UserService(session=session).remove_totp(user_id, by=actor)


router = Router(
    "/users",
    route_handlers=[list_users, create_user, get_user, update_user, delete_user, remove_totp],
    tags=["users"],
)
