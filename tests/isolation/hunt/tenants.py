"""The tenants of a hunt: what each has to ask with, and what of it others may try."""

import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.workspace.clients.schemas import NewApiClient
from leasehold.workspace.users.service import UserService
from tests.factories import OPERATOR, api_client, api_key, new_slug

_KNOWN = 200


@dataclass
class Hunted:
    """A tenant, and what has become known of it."""

    id: UUID
    schema: str
    slug: str
    mark: str
    client: NewApiClient
    key: str
    user_id: UUID
    """A user, who carries the mark too."""
    token: str
    items: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_KNOWN))
    """Ids of items and their entity tags."""
    next_pages: deque[str] = field(default_factory=lambda: deque(maxlen=_KNOWN))
    """Addresses of pages that follow another, with their cursors."""
    keyed: dict[str, str] = field(default_factory=dict[str, str])
    """What was made under which idempotency key."""
    renamed_at: float = 0.0
    """When its slug was last changed, in seconds of the monotonic clock; infinity while it is being changed."""
    token_at: float = field(default_factory=time.monotonic)

    @property
    def marked(self) -> bytes:
        """The mark as it stands in an answer."""
        return self.mark.encode()


async def settle(process: Process, number: int, *, seed: int) -> list[Hunted]:
    """Provision the tenants of a hunt, each with a user, a client and a key that carry its mark."""
    drawn = random.Random(f"marks of {seed}")
    return [await _settled(process, f"mk{drawn.getrandbits(48):012x}km", place) for place in range(number)]


async def _settled(process: Process, mark: str, place: int) -> Hunted:
    slug = f"hunted-{place}-{new_slug()}"
    made = await process.provisioner.provision(slug=slug, name=f"Tenant {mark}", by=OPERATOR)
    await process.feed.caught_up()
    tenant = process.directory.by_id(made.id)
    assert tenant is not None
    client = await api_client(process, tenant)
    key = await api_key(process, tenant, client=client.client_id)
    async with open_tenant_session(process.database, tenant) as session:
        user = await UserService(session=session).add(
            email=f"{mark}@hunted.example", name=mark, role="member", password_hash=None, by=OPERATOR
        )
    scopes = frozenset(client.scopes)
    token = process.tokens.issue(kind="client", subject=client.client_id, tenant_id=tenant.id, scopes=scopes)
    return Hunted(tenant.id, tenant.schema, tenant.slug, mark, client, key.key or "", user.id, token)


def picked(of: Sequence[tuple[str, str]] | deque[tuple[str, str]], pick: float) -> tuple[str, str] | None:
    """Return one of some items, None if there is none yet."""
    return of[int(pick * len(of))] if of else None
