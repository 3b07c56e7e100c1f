"""`make` installs packages with uv from pip's configured index, or with pip if uv fails."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.support import npm_tools
from tests.support.running import ROOT

Install = Callable[..., "subprocess.CompletedProcess[str]"]
WHEEL = "tiny-1.0-py3-none-any.whl"
BY_PIP = "uv cannot install {} here, so pip does."


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The URL of a package index that has only one package, `tiny`."""
    files = {"tiny.py": "", "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"}
    files["tiny-1.0.dist-info/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    page = tmp_path / "index/simple/tiny"
    page.mkdir(parents=True)
    with zipfile.ZipFile(page / WHEEL, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        record = "".join(f"{name},sha256={_hash(text)},{len(text)}\n" for name, text in files.items())
        wheel.writestr("tiny-1.0.dist-info/RECORD", f"{record}tiny-1.0.dist-info/RECORD,,\n")
    (page / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path / "index")) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def install(tmp_path: Path, index: str) -> Install:
    """Install `tiny` into an environment without pip, where a file configures the index for pip."""
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index}\n")
    home = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PATH": os.environ["PATH"]}
    binaries = tmp_path / "venv/bin"
    venv.create(tmp_path / "venv", symlinks=True)
    wheel = (tmp_path / "index/simple/tiny" / WHEEL).read_bytes()

    def install(sha256: str = hashlib.sha256(wheel).hexdigest()) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "tiny.txt").write_text(f"tiny==1.0 --hash=sha256:{sha256}\n")
        command = [ROOT / "requirements/install.sh", binaries, binaries / "python", tmp_path / "tiny.txt"]
        return subprocess.run(command, env=home, capture_output=True, text=True, check=False)

    return install


def installed(tmp_path: Path) -> bool:
    return subprocess.run([tmp_path / "venv/bin/python", "-c", "import tiny"], check=False, stderr=-3).returncode == 0


def test_uv_installs_from_the_index_that_is_configured_for_pip(install: Install, tmp_path: Path) -> None:
    (tmp_path / "venv/bin/uv").symlink_to(npm_tools.require(Path(sys.prefix) / "bin/uv"))
    made = install()
    assert (made.returncode, made.stderr) == (0, "")
    assert installed(tmp_path)


def test_pip_installs_where_there_is_no_uv(install: Install, tmp_path: Path) -> None:
    made = install()
    assert made.returncode == 0
    assert made.stderr.startswith(BY_PIP.format(tmp_path / "tiny.txt"))
    assert installed(tmp_path)


def test_neither_installs_a_package_with_another_hash(install: Install, tmp_path: Path) -> None:
    (tmp_path / "venv/bin/uv").symlink_to(npm_tools.require(Path(sys.prefix) / "bin/uv"))
    made = install("0" * 64)
    assert made.returncode != 0
    assert "Hash mismatch" in made.stderr
    assert "DO NOT MATCH THE HASHES" in made.stderr
    assert not installed(tmp_path)


@pytest.mark.parametrize("stamp", ["npm", "sdk"])
def test_make_continues_without_packages_that_only_some_tests_need(tmp_path: Path, stamp: str) -> None:
    """This happens offline, or where a proxy allows only some downloads."""
    for name in ("Makefile", "tests/npm/package.json", "tests/npm/package-lock.json", "tests/sdk/requirements.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name, code in {"npm": 1, "requirements/install.sh": 1, ".venv/bin/python": 0}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = ["make", "VENV=.venv", f".venv/{stamp}.stamp"]
    made = subprocess.run(command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=True)
    assert "the tests that need it are skipped" in made.stderr
    assert not list(tmp_path.glob(f".venv/{stamp}*"))
