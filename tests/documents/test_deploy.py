"""The repository's files for running the service fit their formats and the service."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
import pytest
import yaml

from config import Settings, load_settings
from otp.challenges import DEADLINE
from otp.durations import seconds
from tests.support.running import ACCOUNT, ROOT
from tools.audit import UNREACHABLE, verdict

COMPOSE_SCHEMA = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor/compose-spec.json"
REQUIREMENTS = ("requirements.txt", "requirements/sandbox.txt", "requirements/dev.txt", "requirements/docs.txt")


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def test_the_compose_file_fits_its_schema() -> None:
    jsonschema.validate(compose(), json.loads(COMPOSE_SCHEMA.read_text()))


@pytest.mark.parametrize("service", [pytest.param(each, id=name) for name, each in compose()["services"].items()])
def test_every_container_is_confined(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"] == {"driver": "local", "options": {"max-size": "10m", "max-file": "5"}}
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    assert "disable" not in service.get("healthcheck", {}), "api has its image's"
    conditions = {each["condition"] for each in service.get("depends_on", {}).values()}
    assert conditions <= {"service_healthy"}


def test_no_production_container_is_replaced_because_another_one_is() -> None:
    """Compose 2.26 replaces a container with one that it depends on: the proxy with any replica, and all with Redis."""
    assert {name for name, each in compose()["services"].items() if "depends_on" in each} == {"api-sandbox"}


def test_only_the_proxy_is_published_and_only_by_ipv4() -> None:
    """By IPv6, Docker would replace the addresses of all clients by one."""
    services = compose()["services"]
    published = {name: each["ports"] for name, each in services.items() if "ports" in each and "api" not in name}
    assert published == {"proxy": ["${BIND:-0.0.0.0}:${PORT:-3000}:8080"], "infobip": ["127.0.0.1:3001:3001"]}
    assert "ports" not in services["api"]
    assert services["api-sandbox"]["ports"] == ["${BIND:-0.0.0.0}:${PORT:-3000}:3000"]
    assert "listen 8080;" in (ROOT / "deploy/nginx.conf").read_text()


def test_the_replicas_add_the_proxy_to_the_trusted_proxies() -> None:
    written = compose()["services"]["api"]["environment"]["TRUSTED_PROXIES"]
    account = {**ACCOUNT, "INFOBIP_BASE_URL": "https://x.api.infobip.com", "REDIS_URL": "redis://redis"}
    read = [
        load_settings({**account, "TRUSTED_PROXIES": written.replace("${TRUSTED_PROXIES:-0}", yours)}).trusted_proxies
        for yours in ("0", "2")
    ]
    assert read == [1, 3]


def test_scaling_replaces_no_running_replica() -> None:
    """Compose replaces a container whose environment changes, and the environment includes all of `.env`."""
    api = compose()["services"]["api"]
    own = {name for name in re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text())}
    assert own - {"INFOBIP_API_KEY_FILE", "TRUSTED_PROXIES"} == {"BIND", "PORT", "REPLICAS"}
    assert [name for name in own if "$" in api["environment"][name]] == ["TRUSTED_PROXIES"]


def test_nothing_is_killed_before_infobip_and_the_challenge_have_responded() -> None:
    """However long INFOBIP_TIMEOUT is, gunicorn gives its last requests 5 s more and waits 15 s for a worker."""
    (most,) = [each.le for each in Settings.model_fields["infobip_timeout"].metadata if hasattr(each, "le")]
    services, longest = compose()["services"], most + DEADLINE
    assert [seconds(services[name]["stop_grace_period"]) >= longest + 20 for name in ("api", "proxy")] == [True, True]
    (waits,) = re.findall("proxy_read_timeout (.*?);", (ROOT / "deploy/nginx.conf").read_text())
    assert seconds(waits) > longest + 5


def test_the_image_has_every_package_of_the_service() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    packages = {each for each in checked if "." not in each} - {"examples", "tests", "tools"}
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"^COPY (\w+)/ \1/$", dockerfile, re.MULTILINE)) == packages | {"requirements"}
    let_in = set((ROOT / ".dockerignore").read_text().splitlines())
    files = {"*", "!requirements", "!requirements.txt", "!*.py", "!.flaskenv", "!openapi.yaml"}
    assert files | {f"!{package}" for package in packages} <= let_in


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    "name", [*REQUIREMENTS, "requirements/login.txt", "requirements/tools.txt", "tests/sdk/requirements.txt"]
)
def test_requirements_are_pinned_with_hashes_and_name_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search("://|index-url|find-links", text)
    assert all(" \\\n    --hash=sha256:" in each for each in re.split(r"\n(?=[a-z])", text)[1:])
    assert len(pins(name)) == len(re.findall("^[a-z]", text, re.MULTILINE))


def test_the_tested_versions_are_those_that_ship() -> None:
    shipped, tested = pins("requirements.txt"), pins("requirements/dev.txt")
    assert shipped.items() <= pins("requirements/sandbox.txt").items() <= tested.items()
    assert pins("requirements/login.txt").items() <= tested.items()
    for name in ("requirements/docs.txt", "requirements/tools.txt"):  # installed in addition to the others
        assert {pin for pin in tested.items() if pin[0] in pins(name)} <= pins(name).items()


def test_make_help_has_a_line_for_each_target() -> None:
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[1] for line in printed.splitlines()] == targets.split()
    assert "the service, a local Infobip and a Redis" in printed


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages})


CLEAN = {"name": "flask", "version": "3.1.3", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "not found"}
BAD = {"name": "flask", "version": "0.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.2"]}]}


@pytest.mark.parametrize(
    ("written", "complaint", "code", "printed"),
    [
        (report(CLEAN), "", 0, "1 packages audited, 0 known vulnerabilities."),
        (report(BAD, UNKNOWN), "", 1, "flask 0.1: PYSEC-1 (fixed in 0.2)"),
        (report(CLEAN, UNKNOWN), "", 0, "not audited: ours"),
        (report(UNKNOWN), "", 0, UNREACHABLE),
        ("", "requests.exceptions.ConnectionError: no route", 0, UNREACHABLE),
        ("", "error: no such option", 1, "no such option"),
    ],
)
def test_an_audit_without_a_connection_is_not_clean(written: str, complaint: str, code: int, printed: str) -> None:
    exit_code, sentence = verdict(written, complaint)
    assert exit_code == code
    assert printed in sentence
