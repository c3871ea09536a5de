"""Which tenants code may serve, by the revision of their schemas."""

from pathlib import Path
from uuid import UUID

import pytest

from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.window import RevisionWindow, TenantNotMigrated
from tests.unit.tenancy.fleet.scratch import Step, history_of

_WINDOW = RevisionWindow(known=("0001", "0002", "0003"), served=("0002", "0003"))


def _at(revision: str, served_by: str | None = None) -> TenantRef:
    return TenantRef(UUID(int=1), "acme", "t_1", "lh_t_1", TenantState.ACTIVE, revision, served_by)


@pytest.mark.parametrize(
    ("revision", "served_by"),
    [("0003", "0001"), ("0002", "0001"), ("0004", "0001"), ("0005", "0003")],
    ids=["head", "without what is not needed", "after an expansion", "after a contraction of older code"],
)
def test_what_code_can_serve_passes(revision: str, served_by: str) -> None:
    _WINDOW.demand(_at(revision, served_by))


@pytest.mark.parametrize(
    ("revision", "served_by"),
    [("0001", "0001"), ("0005", "0004"), ("0005", None)],
    ids=["too old", "after a contraction of this code", "nobody knows"],
)
def test_what_code_would_break_on_is_refused_for_a_while(revision: str, served_by: str | None) -> None:
    with pytest.raises(TenantNotMigrated) as refused:
        _WINDOW.demand(_at(revision, served_by))
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"] == "30"


def test_code_serves_its_head_and_what_lacks_only_revisions_that_it_does_not_need(tmp_path: Path) -> None:
    optional = "is_needed = False"
    steps = [
        Step("0001"),
        Step("0002", "0001"),
        Step("0003", "0002", extra=optional),
        Step("0004", "0003", extra=optional),
    ]
    assert list(history_of(tmp_path / "some", *steps).served_revisions()) == ["0002", "0003", "0004"]
    assert list(history_of(tmp_path / "none", *steps[:2]).served_revisions()) == ["0002"]
    assert list(history_of(tmp_path / "all", Step("0001", extra=optional)).served_revisions()) == ["0001"]
