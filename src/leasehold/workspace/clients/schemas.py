"""What an API client looks like from outside."""

from uuid import UUID

from msgspec import Struct


class NewApiClient(Struct):
    """An API client with its secret, which is shown this once."""

    client_id: UUID
    client_secret: str
    name: str
    scopes: list[str]
