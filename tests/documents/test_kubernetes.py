"""The manifests fit Kubernetes' schemas, kustomize builds them, and the service starts with their settings."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from config import Settings, load_settings
from otp import VERSION
from otp.challenges import DEADLINE
from otp.durations import seconds
from tests.support.running import ROOT

FOLDER = ROOT / "deploy/kubernetes"
BASE, EXAMPLE = FOLDER / "base", FOLDER / "example"
PAGE = (ROOT / "docs/deploy.md").read_text()
LABELS = {"app.kubernetes.io/name": "infobip-otp"}
AFTER_CALL = 20  # seconds that gunicorn may take after a call: 5 for the requests in flight, 15 for a worker
# The part of the Prometheus operator's custom resource that is used here.
POD_MONITOR = {
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "spec": {
            "required": ["selector", "podMetricsEndpoints"],
            "additionalProperties": False,
            "properties": {
                "selector": {"required": ["matchLabels"], "maxProperties": 1},
                "podMetricsEndpoints": {"items": {"required": ["port"], "maxProperties": 1}, "minItems": 1},
            },
        },
    },
}


def kustomization(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "kustomization.yaml").read_text()))


def manifests() -> dict[str, dict[str, Any]]:
    """Return the manifests that are files, by kind."""
    files = [each for folder in (BASE, EXAMPLE) for each in folder.glob("*.yaml") if each.name != "kustomization.yaml"]
    return {each["kind"]: each for file in files for each in yaml.safe_load_all(file.read_text())}


def pod() -> dict[str, Any]:
    return dict(manifests()["Deployment"]["spec"]["template"]["spec"])


def settings_of_pods() -> dict[str, str]:
    """Return the settings of the ConfigMap: those of the base and those of the example."""
    (base,) = kustomization(BASE)["configMapGenerator"]
    lines = (EXAMPLE / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in [*base["literals"], *lines] if not line.startswith("#"))


def longest_call() -> float:
    (most,) = [each.le for each in Settings.model_fields["infobip_timeout"].metadata if hasattr(each, "le")]
    return float(most + DEADLINE)


@pytest.mark.parametrize("manifest", manifests().values(), ids=manifests())
def test_the_manifest_fits_its_schema(manifest: dict[str, Any]) -> None:
    if manifest["kind"] == "PodMonitor":
        jsonschema.validate(manifest, POD_MONITOR)
    else:
        kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_a_typing_error_in_a_manifest_is_found() -> None:
    deployment = manifests()["Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.34", strict=True)


def test_nothing_that_is_applied_overwrites_the_secret() -> None:
    assert "Secret" not in manifests()
    assert not {"secretGenerator"} & {*kustomization(BASE), *kustomization(EXAMPLE)}


def test_the_service_starts_with_these_settings_and_the_secret_of_the_page(tmp_path: Path) -> None:
    (container,) = pod()["containers"]
    (mount,) = [each["mountPath"] for each in container["volumeMounts"] if each["name"] == "secrets"]
    files = {each["name"]: each["value"] for each in container["env"]}
    assert {value.removeprefix(f"{mount}/") for value in files.values()} == set(re.findall(r"--from-file=(\S+)", PAGE))
    contents = {"API_KEYS_FILE": "shop:shop-key-0123456789", "REDIS_URL_FILE": "rediss://:password@redis.example.com/0"}
    for name in files:
        (tmp_path / name).write_text(contents.get(name, "0123456789abcdef") + "\n")
    settings = load_settings({**settings_of_pods(), **{name: str(tmp_path / name) for name in files}})
    assert settings.log_salt, "one for all replicas"
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": settings.port, "metrics": settings.metrics_port}


def test_an_init_container_checks_what_the_service_gets() -> None:
    spec = pod()
    (check,), (api,) = spec["initContainers"], spec["containers"]
    assert check.pop("args") == ["check"]
    assert {**check, "name": "api"}.items() <= api.items()
    assert spec["enableServiceLinks"] is False, "a Service named metrics would set METRICS_PORT"
    assert "> /venv/bin/check" in (ROOT / "Dockerfile").read_text()


def test_without_redis_new_pods_do_not_start_and_running_ones_stay() -> None:
    (api,) = pod()["containers"]
    probes = {name: api[name]["httpGet"] for name in api if name.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": "/readyz", "port": "http"},
        "readinessProbe": {"path": "/healthz", "port": "http"},
        "livenessProbe": {"path": "/healthz", "port": "http"},
    }
    assert all(api[name]["timeoutSeconds"] >= 3 for name in probes), "a refusal of /readyz is out within 2 s"


def test_nothing_is_cut_before_infobip_and_the_challenge_have_responded() -> None:
    """This holds even for the longest INFOBIP_TIMEOUT."""
    spec = pod()
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= pause + longest_call() + AFTER_CALL
    waits = manifests()["Ingress"]["metadata"]["annotations"]["nginx.org/proxy-read-timeout"]
    assert seconds(waits) > longest_call() + 5
    assert f"wait {waits[:-1]} s for an answer" in PAGE


def test_the_objects_belong_together() -> None:
    found = manifests()
    assert {each["metadata"]["name"] for each in found.values()} == {"infobip-otp"}
    assert found["Deployment"]["spec"]["template"]["metadata"]["labels"] == LABELS
    selectors = [found[kind]["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget", "PodMonitor")]
    selectors.append(found["NetworkPolicy"]["spec"]["podSelector"])
    assert [each["matchLabels"] for each in selectors] == [LABELS] * 4
    assert found["Service"]["spec"]["selector"] == LABELS


def test_the_named_ports_exist() -> None:
    found, (api,) = manifests(), pod()["containers"]
    ports = {each["name"] for each in api["ports"]}
    let_in = {port["port"] for rule in found["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]}
    scraped = {each["port"] for each in found["PodMonitor"]["spec"]["podMetricsEndpoints"]}
    (served,) = found["Service"]["spec"]["ports"]
    assert let_in == ports
    assert scraped | {served["targetPort"]} == ports
    (path,) = found["Ingress"]["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "infobip-otp", "port": {"name": served["name"]}}
    (rule,) = found["NetworkPolicy"]["spec"]["egress"]
    assert {each["port"] for each in rule["ports"]} == {53, 443, 6379}


def test_the_page_builds_the_image_that_the_example_runs() -> None:
    (image,) = kustomization(EXAMPLE)["images"]
    assert image["newTag"] == VERSION
    assert set(re.findall(r"docker (?:build -t|push) (\S+)", PAGE)) >= {f"{image['newName']}:{VERSION}"}
    assert {each["image"] for each in (*pod()["containers"], *pod()["initContainers"])} == {image["name"]}


def kubectl(*arguments: str | Path, folder: Path = ROOT) -> list[dict[str, Any]]:
    """Run kubectl, which needs no API server for this, and return the objects that it prints."""
    program = shutil.which("kubectl")
    if not program:
        pytest.skip("no kubectl (1.21 or newer): kustomize is a part of it")
    ran = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def test_a_change_of_the_settings_replaces_the_pods(tmp_path: Path) -> None:
    """As the page says, the example is copied next to the base, and kustomize itself builds the copy."""
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    copy = tmp_path / "kubernetes/production"
    shutil.copytree(EXAMPLE, copy)
    listed = copy / "kustomization.yaml"
    listed.write_text(listed.read_text().replace("# - pod-monitor.yaml", "- pod-monitor.yaml"))
    built = {each["kind"]: each for each in kubectl("kustomize", copy)}
    assert built.keys() == manifests().keys() | {"ConfigMap"}
    assert built["ConfigMap"]["data"] == settings_of_pods()
    for manifest in (each for kind, each in built.items() if kind != "PodMonitor"):
        kubernetes_validate.validate(manifest, "1.34", strict=True)
    assert {each["metadata"]["namespace"] for each in built.values()} == {"otp"}
    (api,) = built["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert api["image"] == f"registry.example.com/infobip-otp:{VERSION}"
    named = [{"configMapRef": {"name": built["ConfigMap"]["metadata"]["name"]}}]
    assert api["envFrom"] == named
    with (copy / "settings.env").open("a") as file:
        file.write("LOG_LEVEL=DEBUG\n")
    changed = {each["kind"]: each for each in kubectl("kustomize", copy)}["Deployment"]["spec"]["template"]["spec"]
    assert changed["containers"][0]["envFrom"] == changed["initContainers"][0]["envFrom"] != named


def test_the_command_of_the_page_creates_the_secret_that_the_pods_mount(tmp_path: Path) -> None:
    (command,) = re.findall(r"^kubectl (.* create secret .*)$", PAGE, re.MULTILINE)
    for name in re.findall(r"--from-file=(\S+)", command):
        (tmp_path / name).write_text("x")
    (secret,) = kubectl(*command.split(), "--dry-run=client", "--output=yaml", folder=tmp_path)
    (mounted,) = [each["secret"] for each in pod()["volumes"] if "secret" in each]
    assert secret["metadata"]["name"] == mounted["secretName"]
