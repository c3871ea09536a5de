"""How the operations of and on admins are asked for in a walk over all operations."""

from typing import Any

import httpx

from leasehold.process import Process
from tests.admins import ADMINS, ME, admin_headers, known_admin
from tests.api.test_second_factor import code_of
from tests.factories import new_slug
from tests.people import PASSWORD

PLANS = "/platform/v1/plans"
Ask = tuple[str, dict[str, str], dict[str, Any] | None]

ADMIN_ACTIONS = {
    "logInAsAdmin": {"login.succeeded"},
    "chooseAdminPassword": {"password.changed"},
    "logOutAsAdmin": {"session.ended"},
    "logOutAdminEverywhere": {"sessions.ended"},
    "changeAdminPassword": {"password.changed"},
    "beginAdminTotp": {"second_factor.begun"},
    "confirmAdminTotp": {"second_factor.added"},
    "removeAdminTotp": {"second_factor.removed"},
    "renewAdminRecoveryCodes": {"recovery_codes.renewed"},
    "createOwnToken": {"admin_token.issued"},
    "revokeOwnToken": {"admin_token.revoked"},
    "createPlan": {"plan.created"},
    "updatePlan": {"plan.changed"},
    "deletePlan": {"plan.deleted"},
    "createAdmin": {"admin.created", "admin.setup_issued"},
    "updateAdmin": {"admin.disabled"},
    "setUpAdminPassword": {"admin.setup_issued"},
    "removeAdminsTotp": {"second_factor.removed"},
    "revokeAdminsToken": {"admin_token.revoked"},
}
"""What each of them leaves in the platform's log, and in no tenant's."""


async def prepared_for_admins(
    http: httpx.AsyncClient, process: Process, root: dict[str, str], operation: str, path: str
) -> Ask:
    """Return how an operation is asked for, when all is there that it needs."""
    known = await known_admin(http, process)
    headers = await admin_headers(http, known)
    made = await http.post(f"{ME}/tokens", headers=headers, json={"scopes": []})
    bodies: dict[str, dict[str, Any]] = {
        "logInAsAdmin": {"name": known.name, "password": PASSWORD},
        "changeAdminPassword": {"current_password": PASSWORD, "new_password": PASSWORD},
        "beginAdminTotp": {"password": PASSWORD},
        "createOwnToken": {"scopes": []},
        "createAdmin": {"name": new_slug(), "scopes": ["platform:tenants:read"]},
        "updateAdmin": {"is_active": False},
        "createPlan": {"name": new_slug(), "limits": {"items": 10}},
        "updatePlan": {"limits": {"items": 11}},
    }
    body = bodies.get(operation)
    if operation == "chooseAdminPassword":
        setup = await http.post(f"{ADMINS}/{known.id}/password-setup", headers=root)
        body = {"setup_secret": setup.json()["setup_secret"], "password": PASSWORD}
    if operation in {"confirmAdminTotp", "removeAdminTotp", "renewAdminRecoveryCodes", "removeAdminsTotp"}:
        body = await _totp_body(http, headers, operation)
    plan = new_slug()
    if operation in {"updatePlan", "deletePlan"}:
        await http.post(PLANS, headers=root, json={"name": plan})
    on_others = path.startswith((ADMINS, PLANS))
    proves_itself = operation in {"logInAsAdmin", "chooseAdminPassword"}
    asking = {} if proves_itself else root if on_others else headers
    return path.format(admin_id=known.id, token_id=made.json()["id"], plan_name=plan), asking, body


async def _totp_body(http: httpx.AsyncClient, headers: dict[str, str], operation: str) -> dict[str, Any] | None:
    begun = await http.post(f"{ME}/totp", headers=headers, json={"password": PASSWORD})
    code = {"code": code_of(begun.json()["secret"])}
    if operation == "confirmAdminTotp":
        return code
    confirmed = await http.post(f"{ME}/totp/confirm", headers=headers, json=code)
    if operation == "removeAdminsTotp":
        return None
    return {"password": PASSWORD, "code": confirmed.json()["recovery_codes"][0]}
