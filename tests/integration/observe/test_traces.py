"""What a collector is told of a request, its statements and its jobs; and that nobody pays who wants no traces."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item, until
from tests.faults.serving import served
from tests.integration.cli.shell import leasehold, refusal_of
from tests.integration.observe.collector import Seen, collecting

_TRACE_ID, _CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_SERVICE_NAME": "saas", "OTEL_TRACES_SAMPLER": "parentbased_always_on"}


def _of(spans: list[Seen], name: str) -> list[Seen]:
    return [span for span in spans if span.name == name]


def _in(spans: list[Seen], trace_id: str) -> list[Seen]:
    return [span for span in spans if span.trace_id == trace_id]


def _has_ended(spans: list[Seen], *names: str) -> Callable[[], bool]:
    return lambda: all(_of(spans, name) for name in names)


async def test_a_request_its_statements_and_its_job_are_one_trace_and_tell_no_values(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    made, headers = await item(process, acme), await bearer(process, acme)
    named = {**headers, "traceparent": f"00-{_TRACE_ID}-{_CALLER}-01", "request-id": "a-request-of-mine"}
    with collecting() as (collector, spans):
        others = {**_QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        inside = {"worker_inside": "true", "traces": "otlp", "job_poll_s": "0.05", "vacancies": "0"}
        inside["worker_grace_s"] = "5"
        async with (
            served(settings, others=others, **inside) as address,
            httpx.AsyncClient(base_url=address) as http,
        ):
            assert (await http.get(f"/v1/items/{made.id}?planted=in-the-query", headers=named)).status_code == 200
            invited = {"email": "planted@acme.example", "role": "member"}
            assert (await http.post("/v1/invitations", headers=named, json=invited)).status_code == 201
            unsampled = {**headers, "traceparent": f"00-{'a' * 32}-{_CALLER}-00"}
            assert (await http.get("/v1/items", headers=unsampled)).status_code == 200
            assert (await http.get("/v1/nothing-here", headers=headers)).status_code == 404
            await until(_has_ended(spans, "GET /v1/items/{item_id}", "POST /v1/invitations", "GET"), timeout_s=30)
            # Of this trace: jobs that other tests have left, and tasks by the clock, are done before it.
            await until(lambda: any(span.name.startswith("job ") for span in _in(spans, _TRACE_ID)), timeout_s=60)
    assert {span.service for span in spans} == {"saas"}
    (read,) = _of(spans, "GET /v1/items/{item_id}")
    assert (read.trace_id, read.parent_id) == (_TRACE_ID, _CALLER)
    about = {key: value for key, value in read.attributes.items() if key != "enduser.id"}
    assert about == {
        "http.request.method": "GET",
        "http.route": "/v1/items/{item_id}",
        "http.response.status_code": 200,
        "leasehold.request.id": "a-request-of-mine",
        "leasehold.tenant.id": str(acme.id),
    }
    (invitation,) = _of(spans, "POST /v1/invitations")
    for request, start in ((read, "SELECT items.id"), (invitation, "INSERT INTO invitations")):
        statements = [
            span for span in spans if span.parent_id == request.span_id and "db.query.text" in span.attributes
        ]
        found = [one for one in statements if str(one.attributes["db.query.text"]).startswith(start)]
        assert len(found) == 1, [one.attributes for one in statements]
        assert found[0].attributes["leasehold.tenant.id"] == str(acme.id)
        assert found[0].name == start.split()[0]
    jobs = [span for span in _in(spans, _TRACE_ID) if span.name.startswith("job ")]
    assert [(job.parent_id, job.attributes["leasehold.tenant.id"]) for job in jobs] == [
        (invitation.span_id, str(acme.id))
    ]
    assert [span.name for span in _in(spans, "a" * 32)] == []
    (unmatched,) = _of(spans, "GET")
    assert unmatched.parent_id == ""
    assert "http.route" not in unmatched.attributes
    told = "\n".join(f"{span.name} {span.attributes}" for span in spans)
    assert "planted" not in told
    assert str(made.id) not in told


@pytest.mark.parametrize(
    ("package", "wanted", "said"),
    [
        (
            "opentelemetry",
            {"LEASEHOLD_TRACES": "otlp"},
            "LEASEHOLD_TRACES=otlp needs the extra `otel`: install leasehold[otel].",
        ),
        (
            "valkey",
            {"LEASEHOLD_RATE_LIMIT_STORE": "valkey", "LEASEHOLD_VALKEY_URL": "valkey://127.0.0.1"},
            "LEASEHOLD_RATE_LIMIT_STORE=valkey needs the extra `valkey`: install leasehold[valkey].",
        ),
    ],
)
def test_without_an_extra_the_server_says_what_to_install(
    settings: Settings, tmp_path: Path, package: str, wanted: dict[str, str], said: str
) -> None:
    missing = tmp_path / package
    missing.mkdir()
    (missing / "__init__.py").write_text(f"raise ModuleNotFoundError('No module', name='{package}')\n")
    env = {
        f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value()
        for name in ("database_url", "installation_key")
    }
    src = Path(__file__).resolve().parents[3] / "src"
    env |= {"LEASEHOLD_PORT": "0", "PYTHONPATH": f"{tmp_path}:{src}", **wanted}
    assert refusal_of(leasehold("serve", env=env)) == said


def test_nothing_of_it_is_imported_unless_it_is_wanted() -> None:
    lines = "import sys, leasehold.main, leasehold.cli; print({'opentelemetry', 'valkey'} & sys.modules.keys())"
    asked = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert asked.stdout == "set()\n"
