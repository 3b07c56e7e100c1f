"""The map in docs/CONTRIBUTING.md lists every package and every file outside of packages, and nothing else.

Its rows have the order of the layers that `make lint` checks.
"""

import re
import tomllib
from pathlib import Path

from tests.support.pages import PAGES
from tests.support.running import ROOT

NOT_IN_GIT = {"sbom.json", "secrets"}
MAP = PAGES["docs/CONTRIBUTING.md"].split("## The map")[1].split("\n## ")[0]
NAMED = [name.rstrip("/") for row in re.findall(r"(?m)^\| (`.*?) \|", MAP) for name in re.findall("`(.*?)`", row)]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
(LAYERS,) = (contract["layers"] for contract in CONTRACTS if contract.get("containers") == ["otp"])


def visible(folder: Path) -> set[str]:
    """Return the paths from the top of the repository of what a reader sees in `folder`."""
    names = {path for path in folder.iterdir() if not path.name.startswith((".", "__"))}
    return {str(path.relative_to(ROOT)) for path in names} - NOT_IN_GIT


def test_the_map_lists_every_package_and_nothing_else() -> None:
    top = {name for name in visible(ROOT) if (ROOT / name).is_dir() or name.endswith(".py")}
    assert (top - {"otp", "docs"}) | visible(ROOT / "otp") == set(NAMED)


def test_the_map_has_the_order_of_the_layers() -> None:
    depth = {package: depth for depth, layer in enumerate(LAYERS) for package in layer.split(" | ")}
    packages = [name for name in NAMED if name.startswith("otp/")]
    assert packages == sorted(packages, key=lambda name: depth[Path(name).stem])


def test_the_top_level_has_at_most_24_entries() -> None:
    assert len(visible(ROOT)) <= 24
