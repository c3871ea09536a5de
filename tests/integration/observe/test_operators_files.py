"""Rules, dashboards, runbook and reference say what is so: an alert on a metric that was renamed wakes nobody."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.observe.scraping import Figures, Observed, scraped

_ROOT = Path(__file__).resolve().parents[3]
_OBSERVE = _ROOT / "deploy" / "observe"
_METRIC = re.compile(r"\bleasehold_[a-z0-9_]+\b")
_SECTION = re.compile(r"^## (\w+)$", re.MULTILINE)
_ROW = re.compile(r"^\| `(leasehold_[a-z_]+)` \| (\w+) \|([^|]*)\| (.+) \|$", re.MULTILINE)
_SUFFIXES = {"counter": "_total"}


def _alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((_OBSERVE / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _dashboards() -> dict[str, list[str]]:
    """Return the expressions of each dashboard."""
    return {
        path.stem: [target["expr"] for panel in json.loads(path.read_text())["panels"] for target in panel["targets"]]
        for path in sorted((_OBSERVE / "grafana" / "dashboards").glob("*.json"))
    }


@pytest.fixture(scope="module")
async def figures(server: Observed) -> Figures:
    return await scraped(server.port)


def test_every_alert_says_how_urgent_it_is_and_has_its_section_in_the_runbook() -> None:
    alerts = _alerts()
    names = [alert["alert"] for alert in alerts]
    assert len(names) > 15
    assert len(set(names)) == len(names)
    assert {alert["labels"]["severity"] for alert in alerts} == {"page", "ticket"}
    for alert in alerts:
        assert alert["annotations"]["summary"].endswith(".")
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
    assert _SECTION.findall((_ROOT / "docs" / "runbook.md").read_text()) == names


async def test_every_metric_that_is_asked_for_is_told(figures: Figures) -> None:
    asked = {f"alert {alert['alert']}": [alert["expr"]] for alert in _alerts()} | _dashboards()
    named = {where: {name for text in texts for name in _METRIC.findall(text)} for where, texts in asked.items()}
    assert sum(map(len, named.values())) > 50
    assert {where: sorted(names - figures.names) for where, names in named.items() if names - figures.names} == {}


async def test_the_reference_is_what_the_code_tells(figures: Figures) -> None:
    told = {
        (family.name + _SUFFIXES.get(family.type, ""), family.type, family.documentation)
        for family in figures.families.values()
    }
    rows = _ROW.findall((_ROOT / "docs" / "reference" / "metrics.md").read_text())
    assert {(name, kind, means) for name, kind, _, means in rows} == told
    for name, _, labels, _ in rows:
        listed = set(re.findall(r"`(\w+)`", labels))
        found = [
            {label for label, _ in pairs} - {"le"}
            for series, pairs in figures.series
            if series in {name, f"{name}_count"}
        ]
        assert all(one == listed for one in found), name


def test_prometheus_takes_the_rules_and_the_expressions_of_the_dashboards(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian has it in the package prometheus")
    expressions = [one.replace("$__rate_interval", "5m") for each in _dashboards().values() for one in each]
    rules = [{"record": f"dashboard:{number}", "expr": one} for number, one in enumerate(expressions)]
    (tmp_path / "dashboards.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    for command in (
        ["check", "config", _OBSERVE / "prometheus.yml"],
        ["check", "rules", tmp_path / "dashboards.yml"],
        ["test", "rules", Path(__file__).with_name("alerts.test.yml")],
    ):
        checked = subprocess.run([promtool, *map(str, command)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_grafana_and_compose_are_given_is_there() -> None:
    services = yaml.safe_load((_OBSERVE / "compose.yaml").read_text())["services"]
    volumes = [volume for service in services.values() for volume in service.get("volumes", [])]
    mounted = [volume.split(":")[0] for volume in volumes if volume.startswith(".")]
    assert mounted != []
    assert [path for path in mounted if not (_ROOT / "deploy" / path).exists()] == []
    targets = [
        target
        for job in yaml.safe_load((_OBSERVE / "prometheus.yml").read_text())["scrape_configs"]
        for target in job["static_configs"][0]["targets"]
    ]
    ports = {service: value for service in ("app", "worker") for value in services[service]["environment"].values()}
    assert targets == [f"{service}:{port}" for service, port in ports.items()]
