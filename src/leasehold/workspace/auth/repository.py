"""What authentication reads in a tenant's schema."""

from msgspec import Struct
from sqlalchemy import Uuid, and_, bindparam, exists, select

from leasehold.core.principal import Principal
from leasehold.core.reads import Read, Reader
from leasehold.core.repository import KeysetRepository
from leasehold.workspace.auth.models import TenantSecret
from leasehold.workspace.clients.models import ApiClient
from leasehold.workspace.keys.models import ApiKey
from leasehold.workspace.scopes import ROLE_SCOPES, as_role
from leasehold.workspace.sessions.models import UserSession
from leasehold.workspace.users.models import User


class TenantSecretRepository(KeysetRepository[TenantSecret]):
    """The secrets of the bound tenant."""

    model_type = TenantSecret


class WrappedSecret(Struct):
    """A secret as it is stored."""

    name: str
    wrapped: bytes


TENANT_SECRET_ROWS = Read(select(TenantSecret.name, TenantSecret.wrapped), WrappedSecret)


class UserSubject(Struct):
    """The user of a token, and whether user and session are still good."""

    name: str
    role: str
    is_active: bool


class ScopedSubject(Struct):
    """The client of a token, or an API key, and whether it is still good."""

    name: str
    scopes: list[str]
    is_active: bool


class Subject(Struct):
    """What the subject of a credential is called, what it may do today, and whether it may act at all."""

    name: str
    scopes: frozenset[str]
    is_active: bool


_HAS_SESSION = exists().where(
    UserSession.id == bindparam("session_id", type_=Uuid),
    UserSession.user_id == User.id,
    UserSession.ended_at.is_(None),
)
USER = Read(
    select(User.email.label("name"), User.role, and_(User.is_active, _HAS_SESSION).label("is_active")).where(
        User.id == bindparam("subject")
    ),
    UserSubject,
)
SCOPED = {
    kind: Read(select(model.name, model.scopes, model.is_active).where(model.id == bindparam("subject")), ScopedSubject)
    for kind, model in (("client", ApiClient), ("key", ApiKey))
}


async def read_subject(reader: Reader, principal: Principal) -> Subject | None:
    """Return the user (by e-mail address), client or key of a credential, None for one that is gone."""
    if principal.kind == "user":
        user = await reader.one(USER, subject=principal.subject, session_id=principal.session_id)
        return user and Subject(user.name, ROLE_SCOPES[as_role(user.role)], user.is_active)
    if principal.kind in SCOPED:
        found = await reader.one(SCOPED[principal.kind], subject=principal.subject)
        return found and Subject(found.name, frozenset(found.scopes), found.is_active)
    return None


async def may_act(reader: Reader, principal: Principal) -> bool:
    """Tell whether the subject of a credential is still there and active, and holds all that the credential says."""
    found = await read_subject(reader, principal)
    return found is not None and found.is_active and principal.scopes <= found.scopes
