"""The manifests are what Kubernetes takes, restricted as it says, and agree with each other."""

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.files import IMAGE_USER, KUBERNETES, loaded, pods, resources

kubernetes_validate: Any = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate carries the schemas; `just setup` installs it"
)
_VERSIONS = ("1.33", "1.37")
_KUBECTL = shutil.which("kubectl")


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


@pytest.mark.skipif(_KUBECTL is None, reason="kubectl, which has kustomize inside, is not installed on this machine")
@pytest.mark.parametrize("folder", ["migrate", "base", "backup"])
def test_kustomize_builds_what_kubernetes_knows(folder: str) -> None:
    assert _KUBECTL is not None
    built = subprocess.run(
        [_KUBECTL, "kustomize", str(KUBERNETES / folder)], capture_output=True, text=True, check=True, timeout=60
    )
    documents = list(yaml.safe_load_all(built.stdout))
    for document in documents:
        kubernetes_validate.validate(document, _VERSIONS[1], strict=True)
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


def test_kustomizations_name_every_file_beside_them() -> None:
    for folder in ("migrate", "base", "backup"):
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
    (port,) = container["ports"]
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
