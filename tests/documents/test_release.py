"""The version is the same in otp/__init__.py, CHANGELOG.md and every page."""

import re
import subprocess
from datetime import date
from pathlib import Path

import yaml

from otp import VERSION
from tests.support.running import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
STATED = re.compile(r'(?:version\\?": ?\\?"|version: |newTag: |infobip-otp:)(\d+\.\d+\.\d+)')
PAGES = [
    ROOT / "README.md",
    ROOT / "openapi.yaml",
    *(path for folder in ("docs", "deploy", "examples") for path in (ROOT / folder).rglob("*.*")),
]
TEXTS = {".md", ".yaml", ".json", ".http"}


def test_the_newest_release_is_this_version() -> None:
    first, second, *_ = re.findall("(?m)^## (.*)$", CHANGELOG)
    version, _, day = second.partition(" - ")
    assert (first, version, date.fromisoformat(day).isoformat()) == ("Unreleased", VERSION, day)


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    command = jobs["release"]["steps"][-1]["run"]
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    subprocess.run(["bash", "-euc", f"gh() {{ :; }}; TAG=v{VERSION}; {command}"], cwd=tmp_path, check=True)
    section = CHANGELOG.partition(f"\n## {VERSION} - ")[2].partition("\n## ")[0].partition("\n")[2]
    assert (tmp_path / "notes.md").read_text().strip() == section.strip() != ""


def test_every_page_states_this_version() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES if path.suffix in TEXTS}
    found = {name: set(STATED.findall(text)) for name, text in texts.items()}
    assert {name: stated for name, stated in found.items() if stated - {VERSION}} == {}
    assert {"openapi.yaml", "deploy/kubernetes/example/kustomization.yaml"} <= {
        name for name, stated in found.items() if stated
    }
