"""The table of failed attempts."""

from leasehold.core.attempts.models import Attempts as Columns
from leasehold.core.models import TenantModel
from leasehold.core.personal import goes


class Attempts(Columns, TenantModel):
    """The failures of one account, or from one address, in the bound tenant."""

    __table_args__ = ({"info": goes("nowhere")},)
