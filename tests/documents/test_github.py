"""The files that GitHub reads in .github/: workflows, issue forms and updates of actions."""

import json
import re
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
import pytest
import yaml

from tests.support.running import ROOT

GITHUB = ROOT / ".github"
SCHEMAS = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
SCHEMA_OF = {
    **dict.fromkeys(WORKFLOWS, "github-workflows"),
    **dict.fromkeys(GITHUB.glob("ISSUE_TEMPLATE/*.yml"), "github-issue-forms"),
    GITHUB / "ISSUE_TEMPLATE/config.yml": "github-issue-config",
    GITHUB / "dependabot.yml": "dependabot",
}


def loaded(path: Path) -> Any:
    return yaml.load(path.read_text(), yaml.BaseLoader)  # it reads `on` as a string


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in loaded(path)["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("path", SCHEMA_OF, ids=lambda path: path.name)
def test_the_file_fits_githubs_schema(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    document = {"on" if name is True else name: value for name, value in document.items()}
    jsonschema.validate(document, json.loads((SCHEMAS / f"{SCHEMA_OF[path]}.json").read_text()))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_pinned_actions_with_few_rights(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert used
    for action, comment in used:
        assert action.startswith("./") or re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action + comment)
    assert loaded(path)["permissions"] == {"contents": "read"}


def test_ci_runs_what_developers_run() -> None:
    checkout, *_, last = steps(GITHUB / "workflows/ci.yml")
    assert checkout["with"]["fetch-depth"] == "0", "or the release before cannot be tested together with this one"
    assert last == {"run": ".ci/run"}


def test_every_image_is_released() -> None:
    matrix = loaded(GITHUB / "workflows/release.yml")["jobs"]["images"]["strategy"]["matrix"]["include"]
    stages = re.findall(r"(?m)^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text())
    assert {"builder", *(each["variant"] for each in matrix)} == set(stages)
