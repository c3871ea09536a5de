"""Those who sign up at the same time get their vacancies together: several are one statement, and one commit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from leasehold.core.budget import CLAIM_CONNECTIONS
from leasehold.core.sqlstate import sqlstate_of
from leasehold.tenancy.connections import Connections
from leasehold.tenancy.vacancies import Claimed, SignUp, claim_vacancies

_TOGETHER = 10
"""So many at most, for one whose slug is taken makes the others begin again."""
_OF_ONE = {"22", "23", "40"}
"""Classes of SQLSTATE for which one of several may be to blame: a name, a slug, the slugs of two in another order."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Somebody who waits for a vacancy."""

    sign_up: SignUp
    outcome: "asyncio.Future[Claimed | None]"

    def tell(self, outcome: Claimed | Exception | None) -> None:
        """Say what became of it, unless it was cancelled meanwhile."""
        if self.outcome.done():
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class Claims:
    """Turns the vacancies of a revision into tenants, for all who wait for one."""

    def __init__(self, app: Connections, revision: str) -> None:
        self._app = app
        self._revision = revision
        self._waiting: list[_Place] = []
        self._runs: set[asyncio.Task[None] | None] = set()

    async def claim(self, sign_up: SignUp) -> Claimed | None:
        """Make a vacancy the tenant that is wanted, complete and committed; None if there is none.

        Who is cancelled meanwhile may have become a tenant, as where an answer is lost.

        Raises:
            asyncpg.UniqueViolationError: another tenant has the slug, or had it until lately.
            DatabaseUnavailable: the database does not answer, or the connection was lost.
            asyncpg.PostgresError: what else it refuses; of its class 57, a farewell, nobody knows what became of it.
        """
        place = _Place(sign_up, asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        if len(self._runs) < CLAIM_CONNECTIONS:
            self._runs.add(asyncio.create_task(self._run(), name="claims"))
        return await place.outcome

    async def _run(self) -> None:
        """Serve those who wait until nobody does."""
        try:
            while taken := self._next():
                await self._serve(taken)
        finally:
            # At once: whoever comes behind a run that has found nobody must not count on it.
            self._runs.discard(asyncio.current_task())

    def _next(self) -> Sequence[_Place]:
        """Take those out of the line whose turn it is; who was cancelled has none."""
        waiting = [place for place in self._waiting if not place.outcome.done()]
        self._waiting = waiting[_TOGETHER:]
        # In the order of their slugs, so that two statements with the same two seldom wait for each other. Where they
        # do, PostgreSQL ends one of them after a second, and those whom it served are served one by one.
        return sorted(waiting[:_TOGETHER], key=lambda place: place.sign_up.slug)

    async def _serve(self, taken: Sequence[_Place]) -> None:
        outcomes: Sequence[Claimed | Exception | None]
        try:
            outcomes = await self._claimed([place.sign_up for place in taken])
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody waits for it
            # Nobody has a vacancy then, which of any other error, such as a backend's farewell, nobody knows.
            if len(taken) > 1 and sqlstate_of(error)[:2] in _OF_ONE:
                for place in taken:
                    await self._serve([place])
                return
            outcomes = [error] * len(taken)
        for place, outcome in zip(taken, outcomes, strict=True):
            place.tell(outcome)

    async def _claimed(self, wanted: Sequence[SignUp]) -> Sequence[Claimed | None]:
        async with self._app.connection() as connection:
            if self._app.prepared_statements:
                return await claim_vacancies(connection, wanted, revision=self._revision)
            # A pooler might hand what is parsed to one server, and what is executed to another.
            async with connection.transaction():
                return await claim_vacancies(connection, wanted, revision=self._revision)
