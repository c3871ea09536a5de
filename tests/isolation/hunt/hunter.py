"""Who asks: one request after the other, now in this tenant, now in that one, with a journal of its own items."""

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.isolation.hunt.decisions import Decision
from tests.isolation.hunt.tenants import Hunted
from tests.isolation.hunt.watch import Watch
from tests.isolation.hunt.wire import NO_HEADERS, Answer, Cut, Wire, written

UNSETTLED_S = 5.0
"""For so long after a rename a process may know a tenant by another slug: it hears of it, or answers 503."""
_BUSY = {429, 503}
"""What is asked again: a backend has ended, or a tenant asks for too much at once."""
_JSON = {"Content-Type": "application/json"}

Act = Callable[["Hunter", Decision, Hunted, Hunted], Awaitable[None]]


@dataclass
class Own:
    """An item that a hunter has made, and what it knows of it."""

    title: str
    etag: str
    is_certain: bool = True
    """False once a request about it was not answered."""
    is_deleted: bool = False


class Hunter:
    """Asks servers on behalf of tenants."""

    def __init__(
        self, number: int, ports: Sequence[int], tenants: Sequence[Hunted], watch: Watch, *, base_domain: str
    ) -> None:
        self.number, self.tenants, self.watch, self.base_domain = number, tenants, watch, base_domain
        self.journal: list[dict[str, Own]] = [{} for _ in tenants]
        self.decided = hashlib.sha256()
        self._wires = [Wire(port) for port in ports]
        self._made = 0

    async def hunt(self, acts: Mapping[str, Act], decisions: Iterator[Decision], operations: int) -> None:
        """Carry out so many decisions."""
        for _ in range(operations):
            if self.watch.is_over:
                break
            decision = next(decisions)
            self.decided.update(repr(decision).encode())
            self.watch.operations[decision.act] += 1
            ours, theirs = self.tenants[decision.tenant], self.tenants[decision.other]
            await acts[decision.act](self, decision, ours, theirs)
        for wire in self._wires:
            wire.close()

    async def ask(
        self,
        decision: Decision,
        ours: Hunted,
        method: str,
        path: str,
        body: Any = None,
        *,
        expected: Collection[int] = (200,),
        host: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        credential: str | None = None,
        trespass: bool = False,
        unsettled: Sequence[Hunted] = (),
    ) -> Answer | None:
        """Ask on behalf of a tenant and return the answer, None where it tells nothing: the server cut it or was busy.

        An answer that is not `expected` is a leak where it is a `trespass`, and otherwise a fault. While the tenants
        that may be `unsettled` are being renamed, only what an answer holds is looked at.
        """
        request = self.request(ours, method, path, body, host=host, headers=headers, credential=credential)
        asked_at = time.monotonic()
        try:
            answer = await self._wire(decision).ask(request)
        except Cut:
            self.watch.cut += 1
            return None
        self.watch.look(decision.act, ours.marked, answer)
        if answer.status in _BUSY:
            return None
        is_unsettled = any(asked_at - one.renamed_at < UNSETTLED_S for one in unsettled)
        if trespass and not is_unsettled:
            self.watch.judged[decision.act] += 1
        if answer.status not in expected:
            if is_unsettled:
                return None
            what = f"{decision.act}: {method} {path} of {ours.slug}: {answer.status} {answer.body[:300]!r}"
            self.watch.leak(what) if trespass and answer.status < 500 else self.watch.fault(what)
            return None
        return answer

    async def leave(self, decision: Decision, ours: Hunted, method: str, path: str, body: Any = None) -> None:
        """Ask, and go away within a few milliseconds."""
        self.watch.cut += 1
        await self._wire(decision).leave(self.request(ours, method, path, body), after_s=decision.more * 0.004)

    def request(
        self,
        ours: Hunted,
        method: str,
        path: str,
        body: Any = None,
        *,
        host: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        credential: str | None = None,
    ) -> bytes:
        """Return a request as it is sent; a body that is bytes already is sent as it is."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = NO_HEADERS if sent is None else _JSON
        bearer = {} if credential == "" else {"Authorization": f"Bearer {credential or ours.token}"}
        return written(method, path, host or self.base_domain, {**bearer, **kind, **headers}, sent)

    def title(self, ours: Hunted) -> str:
        """Return a title that nothing else has, with the mark of its tenant."""
        self._made += 1
        return f"{ours.mark} {self.number}-{self._made}"

    def host_of(self, tenant: Hunted) -> str:
        """Return the host of a tenant."""
        return f"{tenant.slug}.{self.base_domain}"

    def note(self, decision: Decision, ours: Hunted, row: Mapping[str, Any], etag: str = "") -> None:
        """Take down an item that was made, and let others try it."""
        self.journal[decision.tenant][row["id"]] = Own(row["title"], etag)
        ours.items.append((row["id"], etag or '"0"'))

    def own(self, decision: Decision, *, deleted: bool = False) -> tuple[str, Own] | None:
        """Return an item of its own in a tenant, None where it has none."""
        there = self.journal[decision.tenant]
        found = [(name, one) for name, one in there.items() if one.is_deleted == deleted and one.is_certain]
        return found[int(decision.pick * len(found))] if found else None

    def _wire(self, decision: Decision) -> Wire:
        return self._wires[int(decision.server * len(self._wires))]


def outcomes_of(answer: Answer) -> list[dict[str, Any]]:
    """Return what became of each line of many."""
    return json.loads(answer.body)["results"]
