"""What follows from a plan and from what was decided for one tenant."""

import pytest

from leasehold.tenancy.entitlements import (
    UNRESTRICTED,
    Catalogue,
    Entitlements,
    Feature,
    FeatureNotAvailable,
    Limit,
    Rates,
    entitlements_of,
)
from leasehold.tenancy.plans import Plan
from leasehold.tenancy.registry import Tenant, laid_over

OLD = Feature("old", "What everybody has", default=True)
NEW = Feature("new", "What nobody has yet", default=False)
CATALOGUE = Catalogue(limits=(Limit("desks", "Desks"), Limit("chairs", "Chairs")), features=(OLD, NEW))


def of(plan: Plan, **own: object) -> Entitlements:
    return laid_over(plan, Tenant(plan=plan.name, **{"limits": {}, "features": {}, "rate_limits": {}, **own}))


def test_a_default_holds_where_nobody_decided() -> None:
    assert CATALOGUE.features_of(UNRESTRICTED) == {"old": True, "new": False}
    assert CATALOGUE.limits_of(UNRESTRICTED) == {"desks": None, "chairs": None}


def test_a_tenants_own_terms_stand_over_its_plans_which_stand_over_defaults() -> None:
    plan = Plan(
        name="pro",
        limits={"desks": 10, "chairs": 40},
        features={"old": False, "new": True},
        rate_limits={"tenant": "10/1s", "client": "5/1s"},
    )
    found = of(plan, limits={"desks": 0}, features={"old": True}, rate_limits={"client": "off"})
    assert found.plan == "pro"
    assert CATALOGUE.limits_of(found) == {"desks": 0, "chairs": 40}
    assert CATALOGUE.features_of(found) == {"old": True, "new": True}
    assert found.rates == Rates(client="off", tenant="10/1s")


def test_a_feature_that_is_off_is_refused_by_name() -> None:
    OLD.demand(UNRESTRICTED)
    with pytest.raises(FeatureNotAvailable) as refused:
        NEW.demand(UNRESTRICTED)
    assert refused.value.extensions == {"feature": "new"}


def test_tenants_with_the_same_terms_share_one_object() -> None:
    plan = Plan(name="pro", limits={"desks": 10}, features={}, rate_limits={})
    assert of(plan) is of(plan)
    assert of(plan) is of(plan, limits={"desks": 10})
    assert of(plan) is not of(plan, limits={"desks": 11})


def test_the_default_plan_that_says_nothing_is_no_restriction() -> None:
    assert of(Plan(name="default", limits={}, features={}, rate_limits={})) is UNRESTRICTED


def test_what_a_newer_release_wrote_keeps_no_older_one_from_starting() -> None:
    found = entitlements_of("pro", '{"moons": 1}', '{"teleport": true}', '{"planet": "1/1s", "tenant": "2/1s"}')
    assert CATALOGUE.limits_of(found) == {"desks": None, "chairs": None}
    assert found.rates == Rates(tenant="2/1s")
