"""The table of failed attempts."""

from leasehold.core.attempts.models import Attempts as Columns
from leasehold.core.models import PlatformModel


class Attempts(Columns, PlatformModel):
    """The failures of one account, or from one address, of who would be an admin."""
