"""The items of one tenant, over HTTP and in memory at once: what is answered must be what the model says."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from leasehold.process import Process
from tests.api.items_machine.asked import Body
from tests.api.items_machine.model import FIELDS, Row, fields_of, merged
from tests.api.problems import refusal_of
from tests.factories import bearer, provisioned
from tests.people import user

T = TypeVar("T")
Refusal = tuple[int, str]
Asking = Coroutine[Any, Any, httpx.Response]

INVALID: Refusal = (422, "validation-failed")
INVALID_OWNER: Refusal = (422, "invalid-owner")
NOT_FOUND: Refusal = (404, "not-found")
FAILED: Refusal = (412, "precondition-failed")
REQUIRED: Refusal = (428, "precondition-required")
INVALID_CURSOR: Refusal = (422, "invalid-cursor")
KEY_REUSED: Refusal = (422, "idempotency-key-reused")


_UNKNOWN = '"unknown"'


@dataclass
class World:
    """The application that is tested, as a thread beside its event loop reaches it."""

    loop: asyncio.AbstractEventLoop
    http: httpx.AsyncClient
    process: Process
    bystander: dict[str, str]
    """The credentials of a tenant that does nothing."""
    strangers: list[Body]
    """Its items."""
    stranger: str
    """Its user."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the event loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def all_items(self, headers: Mapping[str, str]) -> list[Body]:
        """Return all items of a tenant, in the order they were made."""
        found, query = list[Body](), {"limit": "100"}
        while True:
            page = self.run(self.http.get("/v1/items", headers=headers, params=query)).json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]


@dataclass
class Kept:
    """A POST that had an idempotency key, and its answer."""

    path: str
    content: bytes
    answer: httpx.Response


class ModelledItems:
    """The items of a fresh tenant."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows: dict[str, Row] = {}
        self.kept: dict[str, Kept] = {}
        self.needs_if_match = False
        self.is_owner_active = True
        self._states: dict[str, str] = {}
        self._etags: dict[str, str] = {}
        self.headers, self.owners = world.run(self._arrive())

    @property
    def everything(self) -> list[Row]:
        """All items that were ever made."""
        return list(self.rows.values())

    @property
    def is_owner_needed(self) -> bool:
        """Whether the user who may own items owns one."""
        return any(row.shown["owner_id"] == self.owners["active"] for row in self.rows.values())

    async def _arrive(self) -> tuple[dict[str, str], dict[str, str]]:
        process, tenant = self.world.process, await provisioned(self.world.process)
        headers = await bearer(process, tenant)
        active, disabled = [await user(process, tenant, f"{name}@acme.example") for name in ("active", "disabled")]
        answer = await self.world.http.patch(f"/v1/users/{disabled.id}", headers=headers, json={"is_active": False})
        assert answer.status_code == 200
        return headers, {"active": str(active.id), "disabled": str(disabled.id), "strange": self.world.stranger}

    def asking(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Asking:
        """Return a request of a client of the tenant, to be sent."""
        return self.world.http.request(method, path, headers={**self.headers, **(headers or {})}, **options)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request, and return the answer."""
        return self.world.run(self.asking(method, path, **options))

    def ask_at_once(self, *requests: Asking) -> list[httpx.Response]:
        """Send requests together, and return their answers."""

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(*requests)

        return self.world.run(all_of_them())

    def post(
        self, path: str, body: Body | None, key: str | None, *, headers: Mapping[str, str] | None = None
    ) -> httpx.Response | None:
        """Send a POST, and return its answer; None where the key had been used, of which the answer is checked."""
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})} | ({"Idempotency-Key": key} if key else {})
        answer = self.ask("POST", path, content=content, headers=sent)
        if key in self.kept:
            before = self.kept[key]
            if (before.path, before.content) != (path, content):
                assert refusal_of(answer) == KEY_REUSED
            else:
                self.demand_replay(answer, before.answer)
            return None
        assert "idempotent-replayed" not in answer.headers
        if key and answer.status_code < 400:
            self.kept[key] = Kept(path, content, answer)
        return answer

    @staticmethod
    def demand_replay(answer: httpx.Response, before: httpx.Response) -> None:
        """Fail unless an answer is the one that was given before, and says so."""
        assert answer.headers["idempotent-replayed"] == "true"
        assert (answer.status_code, answer.content) == (before.status_code, before.content)
        assert answer.headers.get("etag") == before.headers.get("etag")

    def resolved(self, body: Body) -> Body:
        """Return a body with the id of the user whom it names."""
        named = body.get("owner_id")
        return {**body, "owner_id": self.owners.get(named, named)} if "owner_id" in body else body

    def takes_owner(self, body: Body, row: Row | None = None) -> bool:
        """Tell whether an item may get the owner that a body names; it may keep the one that it has."""
        kept = row.shown["owner_id"] if row else None
        return body.get("owner_id") in {None, kept, self.owners["active"] if self.is_owner_active else None}

    def if_match(self, row: Row, how: str) -> tuple[dict[str, str], Refusal | None]:
        """Return a header If-Match, and the refusal that it leads to."""
        etag = row.etags[-1]
        if etag == _UNKNOWN and how in {"current", "among others"}:
            how = "former"
        former = next((one for one in row.etags if one != etag), '"never"')
        value, refusal = {
            "absent": ("", REQUIRED if self.needs_if_match else None),
            "current": (etag, None),
            "among others": (f'"never", {etag}', None),
            "any": ("*", None),
            "former": (former, FAILED),
            "weak": (f"W/{etag}", FAILED),
            "unread": (etag.strip('"'), (400, "invalid-if-match")),
        }[how]
        return ({"If-Match": value} if value else {}), refusal

    def made(self, body: Body, shown: Body) -> str:
        """Take in a new item, and return its id."""
        key = str(shown["id"])
        assert key not in self.rows
        assert key not in {one["id"] for one in self.world.strangers}
        assert set(shown) == {"id", *FIELDS, "version", "created_at", "updated_at"}
        assert ({name: shown[name] for name in FIELDS}, shown["version"]) == (fields_of(body), 1)
        self.rows[key] = Row(shown)
        self.look_at(key)
        return key

    def changed(self, row: Row, patch: Body, shown: Body) -> None:
        """Take in what a patch has made of an item."""
        fields = merged(row.fields, patch)
        row.demand(shown, fields, writes=int(fields != row.fields))
        row.shown = shown
        self.look_at(shown["id"])

    def deleted(self, row: Row, answer: httpx.Response) -> None:
        """Take in that an item was deleted."""
        assert (answer.status_code, answer.content) == (204, b"")
        row.is_deleted = True
        row.shown = {**row.shown, "version": row.shown["version"] + 1}
        self._note(row, answer.headers["etag"])

    def restored(self, row: Row, answer: httpx.Response) -> None:
        """Take in that an item was restored, whether it was deleted or not."""
        assert answer.status_code == 200
        row.demand(answer.json(), row.fields, writes=int(row.is_deleted))
        row.shown, row.is_deleted = answer.json(), False
        self.look_at(row.shown["id"])
        assert answer.headers["etag"] == row.etags[-1]

    def lose_owner(self) -> None:
        """Delete the user who may own items; they stay, and another user comes."""
        lost = self.owners["active"]
        assert self.ask("DELETE", f"/v1/users/{lost}", headers={"If-Match": "*"}).status_code == 204
        made = self.ask("POST", "/v1/users", json={"email": "active@acme.example"})
        assert made.status_code == 201
        self.owners["active"], self.is_owner_active = made.json()["id"], True
        for key, row in self.rows.items():
            if row.shown["owner_id"] == lost:
                row.shown = {**row.shown, "owner_id": None}
                if row.is_deleted:
                    # It is another state than before, whose ETag nobody is shown.
                    row.etags.append(_UNKNOWN)
                else:
                    self.look_at(key)

    def look_at(self, key: str) -> None:
        """Get an item, which must be as it was answered."""
        row, answer = self.rows[key], self.ask("GET", f"/v1/items/{key}")
        assert (answer.status_code, answer.json()) == (200, row.shown)
        self._note(row, answer.headers["etag"])

    def _note(self, row: Row, etag: str) -> None:
        """Note the ETag of a row as it is now: another state never has it, and this one never another."""
        state = json.dumps([row.shown, row.is_deleted], sort_keys=True)
        assert self._states.setdefault(etag, state) == state
        assert self._etags.setdefault(state, etag) == etag
        if etag not in row.etags:
            row.etags.append(etag)
        assert row.etags[-1] == etag
