"""How users are read and written."""

from leasehold.core.repository import KeysetRepository
from leasehold.workspace.users.models import User


class UserRepository(KeysetRepository[User]):
    """The users of the bound tenant."""

    model_type = User

    async def by_email(self, email: str) -> User | None:
        """Return the user with this address, whatever its case."""
        return await self.get_one_or_none(email=email.lower())
