"""The table of a tenant's own secrets."""

from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, TenantModel
from leasehold.core.personal import goes


class TenantSecret(Identified, TenantModel):
    """A secret of the tenant, wrapped by the installation key; the tenant's role may only read it."""

    __tablename__ = "tenant_secrets"
    __table_args__ = ({"info": {"rights": "read_only", **goes("nowhere")}},)

    name: Mapped[str] = mapped_column(unique=True)
    wrapped: Mapped[bytes]
