"""The demo of a local installation: two tenants with a few items, a client each, and an admin's token.

Secrets are shown once, so those of the demo are kept beside its data, to be printed again at the next start.
"""

from pathlib import Path

import msgspec
from msgspec.structs import replace

from leasehold.cli.clients import issue_client
from leasehold.cli.installation import write_private
from leasehold.cli.operator import operator
from leasehold.cli.session import find_tenant, run_with, tenant_service
from leasehold.cli.tokens import issue_admin_token
from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.core.errors import InvalidToken
from leasehold.platform.tenants.service import UnknownSlug
from leasehold.platform.tokens.service import AdminTokenService
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.registry import NoActiveTenant
from leasehold.workspace.clients.schemas import NewApiClient
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from leasehold.workspace.scopes import ALL_SCOPES
from leasehold.workspace.users.service import UserService

_TENANTS = {
    "acme": (
        "Acme",
        "Ada Fields",
        [
            ItemCreate("Standing desk", "Oak, 140 cm, for the reception", tags=["office", "furniture"]),
            ItemCreate("Renew the fire insurance", "Policy 4711 ends in March", status="done", tags=["insurance"]),
            ItemCreate("Warm white lamps", "Twelve, for the meeting room", tags=["office", "light"]),
            ItemCreate("Fax machine", status="archived", tags=["office"]),
        ],
    ),
    "globex": (
        "Globex",
        "Gus Meyer",
        [
            ItemCreate("Tower crane", "Lifts 12 t; inspection every six months", tags=["site", "machine"]),
            ItemCreate("Electric forklift", "Battery replaced", status="done", tags=["hall 2", "machine"]),
        ],
    ),
}
_ADMIN_DAYS = 365


class Demo(msgspec.Struct):
    """The credentials of the demo; a tenant that was deleted or suspended has none."""

    admin_token: str
    clients: dict[str, NewApiClient]


async def prepare_demo(settings: Settings, data_dir: Path) -> Demo:
    """Make whatever of the demo is missing, and return its credentials."""
    return await run_with(settings, lambda process: _prepare(process, data_dir / "demo.json"))


async def _prepare(process: Process, file: Path) -> Demo:
    known = _read(file)
    clients: dict[str, NewApiClient] = {}
    for slug, (name, owner, items) in _TENANTS.items():
        is_new = await _provision_if_missing(process, slug, name)
        if is_new:
            await _add_items(process, slug, owner, items)
        client = known.clients.get(slug)
        if client is None or is_new:
            try:
                client = await issue_client(process, slug, name="demo", scopes=tuple(sorted(ALL_SCOPES)))
            except NoActiveTenant:
                continue
        clients[slug] = client
    token = known.admin_token
    if not await _is_valid(process, token):
        token = (await issue_admin_token(process, "demo", days=_ADMIN_DAYS)).token or ""
    demo = Demo(token, clients)
    write_private(file, msgspec.json.encode(demo).decode())
    return demo


def _read(file: Path) -> Demo:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Demo)
    except (OSError, msgspec.DecodeError):
        return Demo("", {})


async def _provision_if_missing(process: Process, slug: str, name: str) -> bool:
    async with tenant_service(process) as service:
        try:
            await service.find_by_slug(slug)
        except UnknownSlug:
            await service.provision(slug=slug, name=name, by=operator())
            return True
    return False


async def _add_items(process: Process, slug: str, owner: str, items: list[ItemCreate]) -> None:
    """Make items that belong to a user, who has no password yet; the archived ones belong to nobody."""
    tenant, email = await find_tenant(process, slug), f"{owner.partition(' ')[0].lower()}@{slug}.example"
    async with open_tenant_session(process.database, tenant) as session:
        user = await UserService(session=session).add(
            email=email, name=owner, role="owner", password_hash=None, by=operator()
        )
        service = ItemService(session=session)
        for item in items:
            await service.add(replace(item, owner_id=None if item.status == "archived" else user.id))


async def _is_valid(process: Process, token: str) -> bool:
    async with platform_session(process.database) as session:
        try:
            await AdminTokenService(session, process.key).authenticate(token)
        except InvalidToken:
            return False
    return True
