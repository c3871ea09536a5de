"""The compose files are what the Compose specification says, alone and one over the other."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.deploy.files import COMPOSE, DEPLOY, loaded

_SCHEMAS = find_spec("check_jsonschema")
pytestmark = pytest.mark.skipif(
    _SCHEMAS is None, reason="check-jsonschema, which carries the schema, is not installed; `just setup` does it"
)


def _schema() -> Any:
    assert _SCHEMAS is not None
    assert _SCHEMAS.origin is not None
    return json.loads((Path(_SCHEMAS.origin).parent / "builtin_schemas/vendor/compose-spec.json").read_text())


def _laid_over(below: Any, above: Any) -> Any:
    """Return what Compose makes of a file over another: mappings are merged, and the rest is replaced or added."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {name: _laid_over(below.get(name), above.get(name, below.get(name))) for name in {**below, **above}}
    return below if above is None else above


@pytest.fixture(scope="module")
def together() -> dict[str, Any]:
    """All compose files together, as `docker compose --file ... --file ...` reads them."""
    whole: dict[str, Any] = {}
    for file in sorted(COMPOSE, key=lambda file: len(file.parts)):
        whole = _laid_over(whole, loaded(file))
    return whole


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_a_file_is_one_of_the_specification(file: Path) -> None:
    jsonschema.validate(loaded(file), _schema())


def test_all_files_together_are_one_of_the_specification(together: dict[str, Any]) -> None:
    jsonschema.validate(together, _schema())
    assert {"postgres", "migrate", "app", "worker", "pgbouncer"} <= set(together["services"])
    with pytest.raises(jsonschema.ValidationError, match="restart_always"):
        jsonschema.validate(_laid_over(together, {"services": {"app": {"restart_always": True}}}), _schema())


def test_what_is_named_is_there(together: dict[str, Any]) -> None:
    services, volumes = together["services"], set(together["volumes"])
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (DEPLOY / source).exists() or source in volumes or source.endswith("/userlist.txt")
            assert known, f"{name}: {source}"
        if "build" in service:
            context = DEPLOY / service["build"]["context"]
            assert (context / service["build"].get("dockerfile", "Dockerfile")).is_file(), name


def test_nothing_serves_before_the_migrations_have_ended_well(together: dict[str, Any]) -> None:
    for name in ("app", "worker"):
        assert together["services"][name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert together["services"]["migrate"]["command"] == ["migrate", "all"]


def test_every_service_but_the_database_and_grafana_is_read_only_and_none_has_rights(together: dict[str, Any]) -> None:
    services = together["services"]
    writable = {name for name, service in services.items() if not service.get("read_only")}
    assert writable <= {"postgres", "grafana"}
    mighty = {name for name, service in services.items() if service.get("cap_drop") != ["ALL"]}
    assert mighty == {"postgres"}
    assert {name for name, service in services.items() if service.get("privileged")} == set()


def test_no_port_is_open_to_others_and_no_image_is_whatever_is_latest(together: dict[str, Any]) -> None:
    services = together["services"].values()
    ports = [port for service in services for port in service.get("ports", [])]
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []
    made = {service["image"] for service in services if "build" in service}
    taken = {service["image"] for service in services} - made
    assert {image for image in taken if not re.search(r":v?\d+(\.\d+)*$", image)} == set()
