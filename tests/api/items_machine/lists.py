"""How clients page through items that change meanwhile."""

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from tests.api.items_machine.asked import BOUNDS, QUERIES
from tests.api.items_machine.model import Listing
from tests.api.items_machine.tenant import INVALID_CURSOR, ModelledItems, World
from tests.api.problems import refusal_of


class PagesMeanwhile(RuleBasedStateMachine):
    """Steps that are one page of a list; between two pages anything may be done."""

    world: ClassVar[World]
    tenant: ModelledItems
    listings = Bundle("listings")

    def __init__(self) -> None:
        super().__init__()
        self.paged: list[Listing] = []

    @rule(target=listings, asked=QUERIES, bound=BOUNDS, limit=st.integers(1, 4))
    def list_first_page(self, asked: dict[str, str], bound: tuple[str, str, int] | None, limit: int) -> Listing:
        query = self.tenant.resolved(asked)
        if bound and (rows := self.tenant.everything):
            column, compare, place = bound
            query[f"{column}[{compare}]"] = rows[place % len(rows)].shown[column]
        listing = Listing(query, limit)
        self.paged.append(listing)
        listing.begin(self.tenant.everything)
        self.turn(listing)
        return listing

    @rule(listing=listings)
    def list_next_page(self, listing: Listing) -> None:
        if not listing.is_over:
            self.turn(listing)

    @rule(listing=listings, other=QUERIES)
    def list_with_the_cursor_of_another_list(self, listing: Listing, other: dict[str, str]) -> None:
        query = self.tenant.resolved(other)
        if listing.cursor is not None and not listing.has_cursor_for(query):
            answer = self.tenant.ask("GET", "/v1/items", params={**query, "cursor": listing.cursor})
            assert refusal_of(answer) == INVALID_CURSOR

    @rule(listing=listings)
    def list_with_the_cursor_of_another_tenant(self, listing: Listing) -> None:
        if listing.cursor is not None:
            asking = self.world.http.get("/v1/items", params=listing.parameters, headers=self.world.bystander)
            assert refusal_of(self.world.run(asking)) == INVALID_CURSOR

    def turn(self, listing: Listing) -> None:
        rows, has_more = listing.next_page(self.tenant.everything)
        answer = self.tenant.ask("GET", "/v1/items", params=listing.parameters)
        assert answer.status_code == 200
        page = answer.json()
        assert page["items"] == [row.shown for row in rows]
        assert page["has_more"] is has_more is (page["next_cursor"] is not None)
        listing.turn(rows, page["next_cursor"])
        if listing.is_over:
            listing.demand_no_gap()
