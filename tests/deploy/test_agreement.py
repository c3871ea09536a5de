"""The files of `deploy/` name what exists, and name it alike: settings, ports, commands, times to end."""

import re
from importlib.metadata import entry_points

import click
import httpx
import pytest

from leasehold.cli.commands import leasehold
from leasehold.config import Settings
from leasehold.process import Process
from tests.deploy.files import DEPLOY, IMAGE_USER, SERVER_PORT, WORKER_PORT, image_environment, loaded, pods

_SETTING = re.compile(r"\bLEASEHOLD_[A-Z0-9_]*[A-Z0-9]\b")
_NO_SETTINGS = {"LEASEHOLD_ADMIN_URL", "LEASEHOLD_ROLL_OUT_PAUSE"}
_DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
_GRACE_S = {"serve": _DEFAULTS["drain_s"] + _DEFAULTS["stop_grace_s"], "worker": _DEFAULTS["worker_grace_s"]}


def _commands() -> dict[str, list[str]]:
    """Return what every unit, service and pod makes `leasehold` do."""
    found = {name: pod["spec"]["containers"][0]["args"] for name, pod in pods()}
    for name, service in loaded(DEPLOY / "compose.yaml")["services"].items():
        if service.get("image") == "leasehold":
            found[f"compose {name}"] = service["command"]
    for unit in DEPLOY.glob("*.service"):
        (line,) = re.findall(r"^ExecStart=/opt/leasehold/\.venv/bin/leasehold (.+)$", unit.read_text(), re.MULTILINE)
        found[unit.name] = line.split()
    return found


def test_every_setting_that_is_named_exists() -> None:
    known = {f"LEASEHOLD_{name.upper()}" for name in Settings.model_fields} | _NO_SETTINGS
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    named = {(path.name, name) for path in files for name in _SETTING.findall(path.read_text())}
    assert {(file, name) for file, name in named if name not in known} == set()
    assert len(named) > 15


def test_every_command_that_is_run_exists() -> None:
    commands = _commands()
    for arguments in commands.values():
        command: click.Command = leasehold
        for word in arguments:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        assert not isinstance(command, click.Group)
    assert {tuple(arguments) for arguments in commands.values()} == {
        ("serve",),
        ("worker",),
        ("migrate", "all"),
        ("backup", "run"),
        ("db", "init"),
    }
    assert "leasehold" in entry_points(group="console_scripts").names


def test_ports_are_those_of_the_image_everywhere() -> None:
    environment = image_environment()
    assert (environment["LEASEHOLD_PORT"], environment["LEASEHOLD_WORKER_PORT"]) == ("8000", "8001")
    assert (SERVER_PORT, WORKER_PORT) == (8000, 8001)
    assert environment["LEASEHOLD_HOST"] == "0.0.0.0"
    ports = {name: pod["spec"]["containers"][0].get("ports", []) for name, pod in pods()}
    assert {name: [port["containerPort"] for port in given] for name, given in ports.items()} == {
        "leasehold-migrate": [],
        "leasehold-server": [8000, 8002],
        "leasehold-worker": [8001],
        "leasehold-backup": [],
    }
    compose = loaded(DEPLOY / "compose.yaml")["services"]
    assert compose["app"]["ports"] == ["127.0.0.1:8000:8000"]
    assert "127.0.0.1:8001/health/live" in compose["worker"]["healthcheck"]["test"][-1]


def test_whoever_stops_a_process_waits_longer_than_its_grace() -> None:
    waits: dict[str, tuple[str, int]] = {}
    for name, pod in pods():
        spec = pod["spec"]
        waits[name] = (spec["containers"][0]["args"][0], spec["terminationGracePeriodSeconds"])
    for name in ("app", "worker"):
        service = loaded(DEPLOY / "compose.yaml")["services"][name]
        waits[f"compose {name}"] = (service["command"][0], int(service["stop_grace_period"].removesuffix("s")))
    for name in ("leasehold.service", "leasehold-worker.service", "leasehold-backup.service"):
        text = (DEPLOY / name).read_text()
        (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
        waits[name] = (_commands()[name][0], int(seconds))
    assert {name: wait for name, (command, wait) in waits.items() if wait < _GRACE_S.get(command, 30) + 10} == {}
    assert len(waits) == 9


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_a_probe_is_answered_though_it_names_no_host_of_ours(
    http: httpx.AsyncClient, process: Process, path: str
) -> None:
    await process.feed.caught_up()
    assert (await http.get(path, headers={"Host": "10.1.2.3:8000"})).status_code == 200


@pytest.mark.parametrize("name", ["leasehold-server", "leasehold-worker", "leasehold-migrate", "leasehold-backup"])
def test_pods_run_as_the_user_of_the_image(name: str) -> None:
    assert f"\nUSER {IMAGE_USER}\n" in (DEPLOY / "Dockerfile").read_text()
    assert dict(pods())[name]["spec"]["securityContext"]["runAsUser"] == IMAGE_USER
