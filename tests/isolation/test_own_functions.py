"""Where tenants have no roles, the functions by which a tenant asks about itself take the tenant of the session."""

from leasehold.config import Settings
from leasehold.core.database import Database
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session, prepare_engine
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.deletion.service import DeletionService
from tests.factories import OPERATOR
from tests.isolation.conftest import open_pool


async def test_without_roles_a_tenant_asks_for_its_own_end_all_the_same(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    assert settings.owner_url is not None
    # Only a login with rights on the schemas can work without roles: here the owner stands for it.
    with_rights = settings.model_copy(update={"database_url": settings.owner_url})
    database = Database(open_pool(with_rights, 1).engine, tenant_roles=False)
    prepare_engine(database.engine, max_tenants=500)
    async with open_tenant_session(database, acme) as session:
        asked = await DeletionService(session).request(by=OPERATOR)
        assert asked.requested_at is not None
    async with open_tenant_session(database, globex) as session:
        await DeletionService(session).withdraw(by=OPERATOR)
    async with open_tenant_session(database, acme) as session:
        assert await DeletionService(session).request(by=OPERATOR) == asked
    await database.close()
