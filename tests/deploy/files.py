"""The files of `deploy/`, read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = sorted(DEPLOY.rglob("compose.yaml"))
KUBERNETES = DEPLOY / "kubernetes"
SERVER_PORT, WORKER_PORT = 8000, 8001
IMAGE_USER = 10001


def loaded(file: Path) -> Any:
    """Return the one document of a YAML file."""
    return yaml.safe_load(file.read_text())


def resources(folder: str) -> list[dict[str, Any]]:
    """Return what the kustomization of a folder names, without what kustomize does to it."""
    path = KUBERNETES / folder
    names = loaded(path / "kustomization.yaml")["resources"]
    return [document for name in names for document in yaml.safe_load_all((path / name).read_text())]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the template of everything that runs pods."""
    for resource in (*resources("migrate"), *resources("base"), *resources("backup")):
        spec = resource.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield resource["metadata"]["name"], template


def image_environment() -> dict[str, str]:
    """Return what the image of Leasehold sets."""
    text = (DEPLOY / "Dockerfile").read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    line = next(line for line in text.splitlines() if line.startswith("ENV "))
    return dict(pair.split("=", 1) for pair in line.removeprefix("ENV ").split())
