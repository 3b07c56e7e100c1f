"""The recipes for secrets managers in docs/deploy.md use names that the service and its manifests know."""

import re

import yaml
from pydantic import SecretStr

from config import Settings
from tests.support.pages import PAGES
from tests.support.running import ROOT

SECTION = PAGES["docs/deploy.md"].split("## Secrets managers")[1].split("\n## ")[0]
SECRETS = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr}


def test_every_file_setting_is_for_a_secret() -> None:
    assert set(re.findall(r"\b([A-Z_]+)_FILE\b", SECTION)) | set(re.findall('"name": "([A-Z_]+)"', SECTION)) <= SECRETS


def test_the_external_secret_creates_the_secret_that_the_deployment_mounts() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
    (file,) = ROOT.glob("deploy/kubernetes/**/service.yaml")
    (deployment,) = [each for each in yaml.safe_load_all(file.read_text()) if each["kind"] == "Deployment"]
    external, pod = yaml.safe_load(block), deployment["spec"]["template"]["spec"]
    (mounted,) = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    assert external["spec"]["target"]["name"] == mounted
    files = {env["value"].rpartition("/")[2] for env in pod["containers"][0]["env"] if env["name"].endswith("_FILE")}
    assert files <= {each["secretKey"] for each in external["spec"]["data"]}
