"""Packages that `make test` installs from npm (tests/npm/package.json)."""

import shutil
import sys
from pathlib import Path

from tests.support.programs import skip_or_fail

MODULES = Path(sys.prefix) / "npm/node_modules"


def require(path: Path) -> Path:
    """Return `path`. If it is missing, skip the test; in CI the test fails, where nothing may be missing."""
    if not path.exists() or not shutil.which("node"):
        skip_or_fail(f"{path.name} is missing: make test installs it where there is npm")
    return path


def command(name: str) -> str:
    """Return the path of a command that a package brings."""
    return str(require(MODULES / ".bin" / name))
