"""Programs that the tests run and that may be missing."""

import os
import shutil
from typing import NoReturn

import pytest

EVERYWHERE = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test; in CI let it fail, because a skip goes unnoticed there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    raise AssertionError


def find(name: str) -> str | None:
    """Return the path of the program, if it is installed."""
    return shutil.which(name, path=EVERYWHERE)


def program(name: str, package: str = "") -> str:
    """Return the path of the program; without it, skip the test. `package` is Debian's, if its name is another."""
    return find(name) or skip_or_fail(f"no {name}; on Debian: apt install {package or name}")
