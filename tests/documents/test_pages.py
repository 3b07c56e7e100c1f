"""README.md and the pages of docs/ as GitHub shows them: every link has a target, and the README stays short."""

import re
from pathlib import Path

import pytest

from tests.support.make_run import MakeRun
from tests.support.pages import PAGES
from tests.support.running import ROOT

WRITTEN = [path for where in (".", ".github", "docs", "examples") for path in sorted((ROOT / where).glob("*.md"))]
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page. The second of two equal ones ends in -1.

    Source: https://github.com/Flet/github-slugger.
    """
    found = list[str]()
    for heading in re.findall("^#+ (.*)$", FENCED.sub("", text), re.MULTILINE):
        shown = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading)
        found.append(re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-"))
    return {f"{each}-{n}" if (n := found[:i].count(each)) else each for i, each in enumerate(found)}


def links(text: str) -> list[str]:
    """Return the targets of a page's links and pictures, without those on other sites."""
    targets = re.findall(r"\]\(([^()\s]+)\)", re.sub("`[^`\n]*`", "", FENCED.sub("", text)))
    return [target for target in targets if "://" not in target]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_has_a_target(page: Path) -> None:
    dead = []
    for target in links(page.read_text()):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# What a refusal reveals\n## `GET /readyz`, or 503?\n", {"what-a-refusal-reveals", "get-readyz-or-503"}),
        ("## Alerts\n## Alerts\n```sh\n# no heading\n```\n", {"alerts", "alerts-1"}),
        ("### Postman and .http\n# [A link](x.md)\n", {"postman-and-http", "a-link"}),
    ],
)
def test_headings_have_the_anchors_of_github(text: str, expected: set[str]) -> None:
    assert anchors(text) == expected


def test_the_readme_is_short_and_links_every_page() -> None:
    assert PAGES["README.md"].count("\n") < 200
    assert set(PAGES) - {"README.md"} <= set(links(PAGES["README.md"]))


def test_the_names_of_pages_differ_in_more_than_case() -> None:
    names = [page.name.lower() for page in (ROOT / "docs").iterdir()]
    assert len(names) == len(set(names))


def test_the_readme_shows_what_make_run_prints(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```\n( +service .*?)```", PAGES["README.md"], re.MULTILINE | re.DOTALL)
    with MakeRun.started(tmp_path) as make_run:
        assert re.sub(r":\d+/0", "", make_run.with_own_ports(shown)) in re.sub(r":\d+/0", "", make_run.said)
