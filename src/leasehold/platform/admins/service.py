"""What can be done with admins. Who changes them gives no power that they do not hold, nor takes over another's."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from msgspec import UNSET

from leasehold.core.actor import Actor
from leasehold.core.changes import applied, created
from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Conflict, FieldError, NotFound
from leasehold.core.pagination import Page, Pager
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.core.vault import InstallationKey
from leasehold.platform.admins import schemas
from leasehold.platform.admins.models import Admin
from leasehold.platform.admins.repository import AdminRepository
from leasehold.platform.auth.models import AdminLogin
from leasehold.platform.auth.pepper import platform_peppers
from leasehold.platform.auth.repository import AdminLoginRepository, AdminSessionRepository
from leasehold.platform.auth.second_factor import SecondFactor
from leasehold.platform.auth.service import new_setup_secret
from leasehold.platform.scopes import known_scopes
from leasehold.tenancy.audit import AuditLog

SETUP_LIFE = timedelta(days=1)
_MAY_CHANGE_ADMINS = "platform:admins:write"
_LIST = b"admins"
_ACTIONS = {"scopes": "admin.scopes_changed", "is_active": ("admin.disabled", "admin.enabled")}


class AdminNameTaken(Conflict):
    """There is an admin of this name."""

    type = "admin-name-taken"
    title = "Admin name taken"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/name", "is taken")])


class UnknownAdmin(NotFound):
    """There is no admin named {name}."""


class LastAdmin(Conflict):
    """Nobody else could change admins any more: give another active admin the scope platform:admins:write first."""

    type = "last-admin"
    title = "Last admin"


class AdminService:
    """The admins of the platform, for one unit of work."""

    def __init__(self, session: PlatformSession, key: InstallationKey) -> None:
        self._session = session
        self._admins = AdminRepository(session=session)
        self._logins = AdminLoginRepository(session=session)
        self._sessions = AdminSessionRepository(session=session)
        self._key = key

    async def page(self, pager: Pager) -> Page[schemas.Admin]:
        """Return one page of admins in the order they were made."""
        rows = await self._admins.page_after(pager.after(_LIST), limit=pager.limit + 1)
        with_totp = await self._logins.with_totp([row.id for row in rows])
        return pager.page([_described(row, has_totp=row.id in with_totp) for row in rows], _LIST)

    async def all(self) -> list[schemas.Admin]:
        """Return all admins in the order they were made."""
        rows = await self._admins.get_many(order_by=("id", False))
        with_totp = await self._logins.with_totp([row.id for row in rows])
        return [_described(row, has_totp=row.id in with_totp) for row in rows]

    async def find(self, admin_id: UUID) -> schemas.Admin:
        """Return an admin.

        Raises:
            NotFound: there is none with this id.
        """
        admin = await self._admins.get_one_or_none(id=admin_id)
        if admin is None:
            raise NotFound
        return await self._describe(admin)

    async def by_name(self, name: str) -> Admin | None:
        """Return the admin of this name."""
        return await self._admins.get_one_or_none(name=name)

    async def named(self, name: str) -> Admin:
        """Return the admin of this name.

        Raises:
            UnknownAdmin: there is none.
        """
        admin = await self.by_name(name)
        if admin is None:
            raise UnknownAdmin(name=name)
        return admin

    async def create(self, name: str, *, scopes: Sequence[str], by: Actor) -> Admin:
        """Make an admin, who cannot log in yet.

        Raises:
            UnknownScope: one of the scopes does not exist.
            InsufficientScope: whoever asks does not hold one of them.
            AdminNameTaken: there is an admin of this name.
        """
        wanted = known_scopes(scopes)
        by.demand(*wanted)
        if await self.by_name(name) is not None:
            raise AdminNameTaken
        admin = await self._admins.add(Admin(name=name, is_active=True, scopes=wanted))
        await self._log(by).record("admin.created", ("admin", admin.id), changes=created(scopes=wanted))
        return admin

    async def change(
        self, admin_id: UUID, patch: schemas.AdminPatch, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.Admin:
        """Change what an admin may do. One who is disabled can do nothing from then on, and their log-ins end.

        Raises:
            NotFound: there is none with this id.
            UnknownScope: one of the scopes does not exist.
            PreconditionFailed, InvalidIfMatch: see `Precondition.demand`.
            InsufficientScope: whoever asks does not hold what is given, by scopes or by enabling.
            LastAdmin: nobody else could change admins.
        """
        # All of them at once and in order, or two who disable each other would both succeed.
        others = [admin.id for admin in await self._admins.locked_with(_MAY_CHANGE_ADMINS) if admin.id != admin_id]
        admin = await self._locked(admin_id)
        precondition.demand(admin, schemas.Admin.tagged_by)
        could = admin.is_active and _MAY_CHANGE_ADMINS in admin.scopes
        if patch.scopes is not UNSET:
            patch.scopes = known_scopes(patch.scopes)
            by.demand(*(scope for scope in patch.scopes if scope not in admin.scopes))
        if patch.is_active is True and not admin.is_active:
            by.demand(*admin.scopes)
        changes = applied(admin, patch)
        can = admin.is_active and _MAY_CHANGE_ADMINS in admin.scopes
        if could and not can and not others:
            raise LastAdmin
        if not admin.is_active:
            await self._sessions.end("revoked", admin_id=admin_id)
        await self._log(by).record_changes(("admin", admin_id), changes, _ACTIONS)
        return await self._describe(admin)

    async def setup(self, admin_id: UUID, *, by: Actor) -> schemas.PasswordSetup:
        """Return a secret by which the admin chooses a password, once and within a day; it replaces a former one.

        Raises:
            NotFound: there is none with this id.
            InsufficientScope: the admin holds a scope that whoever asks does not.
        """
        admin, login = await self._login_of(admin_id, by)
        secret, login.setup_digest = new_setup_secret(platform_peppers(self._key))
        expires_at = login.setup_expires_at = utc_now() + SETUP_LIFE
        await self._log(by).record("admin.setup_issued", ("admin", admin_id))
        return schemas.PasswordSetup(admin_id, admin.name, secret, expires_at)

    async def remove_totp(self, admin_id: UUID, *, by: Actor) -> None:
        """Ask an admin for no codes any more, who has lost the device and the recovery codes.

        Raises:
            NotFound: there is none with this id.
            InsufficientScope: the admin holds a scope that whoever asks does not.
        """
        _, login = await self._login_of(admin_id, by)
        SecondFactor(login, self._key).remove()
        await self._log(by).record("second_factor.removed", ("admin", admin_id))

    async def _login_of(self, admin_id: UUID, by: Actor) -> tuple[Admin, AdminLogin]:
        admin = await self._locked(admin_id)
        by.demand(*admin.scopes)
        login = await self._logins.get_one_or_none(admin_id=admin_id)
        if login is None:
            login = await self._logins.add(AdminLogin(admin_id=admin_id, totp_last_step=0))
        return admin, login

    async def _locked(self, admin_id: UUID) -> Admin:
        admin = await self._admins.locked(admin_id)
        if admin is None:
            raise NotFound
        return admin

    async def _describe(self, admin: Admin) -> schemas.Admin:
        with_totp = await self._logins.with_totp([admin.id])
        return _described(admin, has_totp=admin.id in with_totp)

    def _log(self, by: Actor) -> AuditLog:
        return AuditLog(self._session, by)


def _described(admin: Admin, *, has_totp: bool) -> schemas.Admin:
    return schemas.Admin(
        admin.id, admin.name, admin.is_active, admin.scopes, has_totp, admin.created_at, admin.updated_at
    )
