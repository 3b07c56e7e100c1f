"""Clients that generators make from the contract have types, pass type checkers, and work."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from otp.proofs import new_signing_key
from otp.web.reference_page import CONTRACT
from sandbox.server import EMAIL_MESSAGE_ID
from tests.support import npm_tools
from tests.support.running import ROOT, Sandbox, Service

KEY = "shop-key-0123456789"
PROOF_KEY = new_signing_key()
FLOWS = ROOT / "tests/generated"
BIN = Path(sys.executable).parent
# One file of the client is the same for every contract, and does not pass strict checks.
MYPY = "[mypy]\nstrict = True\n[mypy-otp_client.client]\nignore_errors = True\n"
TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "target": "es2022",
        "module": "node16",
        "lib": ["es2022", "dom"],
        "types": [],
    },
}


def run(*command: str | Path, into: Path, **environment: str) -> tuple[int, str]:
    """Run a command, and return its exit code and its output."""
    given = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(into), **environment}
    ran = subprocess.run(command, cwd=into, env=given, capture_output=True, text=True, check=False, timeout=120)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def arguments(
    start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox, phone: str, email: str
) -> list[str]:
    """The arguments of a flow: a service with all features that it uses, and the recipients to verify."""
    switched_on = {"PROOF_SIGNING_KEY": PROOF_KEY, "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID}
    service = start(sandbox.url, API_KEYS=f"shop:{KEY}", **switched_on)
    return [service.url, KEY, f"{sandbox.url}/inbox", phone, email]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Python client."""
    folder = tmp_path_factory.mktemp("python")
    options = ["--path", str(CONTRACT), "--meta", "none", "--output-path", "otp_client", "--fail-on-warning"]
    code, output = run(sys.executable, "-m", "openapi_python_client", "generate", *options, into=folder)
    assert code == 0, output
    (folder / "mypy.ini").write_text(MYPY)
    return folder


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the TypeScript client."""
    folder = tmp_path_factory.mktemp("typescript")
    code, output = run(npm_tools.command("openapi-typescript"), CONTRACT, "-o", "contract.d.ts", into=folder)
    assert code == 0, output
    (folder / "node_modules").symlink_to(npm_tools.MODULES)
    return folder


def type_check(folder: Path, flow: str, *mistakes: tuple[str, str]) -> tuple[int, str]:
    """Check the types of a flow, or of one copy of it for each mistake, and return the exit code and the output."""
    text, (name, _, suffix) = (FLOWS / flow).read_text(), flow.partition(".")
    assert all(right in text for right, _ in mistakes)
    texts = [text.replace(right, wrong, 1) for right, wrong in mistakes] or [text]
    files = [f"{name}{number or ''}.{suffix}" for number in range(len(texts))]
    for file, of_it in zip(files, texts, strict=True):
        (folder / file).write_text(of_it)
    if suffix == "py":
        return run(sys.executable, "-m", "mypy", *files, into=folder)
    (folder / "tsconfig.json").write_text(json.dumps({**TSCONFIG, "files": files}))
    return run(npm_tools.command("tsc"), "-p", ".", into=folder)


def one_error_each(output: str, mistakes: list[tuple[str, str]], suffix: str) -> bool:
    files = [f"flow{number or ''}.{suffix}" for number in range(len(mistakes))]
    errors = [line for line in output.splitlines() if "error" in line and line.startswith("flow")]
    return [re.split(r"[:(]", line)[0] for line in sorted(errors)] == sorted(files)


def test_the_python_client_passes_its_type_checker_and_works(python: Path, arguments: list[str]) -> None:
    code, output = type_check(python, "flow.py")
    assert code == 0, output
    code, output = run(sys.executable, "flow.py", *arguments, into=python)
    assert code == 0, output


MISTAKES = [
    ("SendOtpToPhone(phone_number=phone", "SendOtpToPhone(phone=phone"),
    ("SendOtpToPhone(phone_number=phone", "SendOtpToPhone(phone_number=1"),
    ("body=SendOtpToEmail(email=email)", "body=VerifyOtpOfEmail(email=email, pin='1')"),
    ("about.email ==", "about.phone_number =="),
]


def test_the_python_types_detect_mistakes(python: Path) -> None:
    code, output = type_check(python, "flow.py", *MISTAKES)
    assert code == 1, output
    assert one_error_each(output, MISTAKES, "py"), output


def test_the_typescript_client_passes_its_type_checker_and_works(typescript: Path, arguments: list[str]) -> None:
    code, output = type_check(typescript, "flow.ts")
    assert code == 0, output
    code, output = run("node", "flow.js", *arguments, into=typescript)
    assert code == 0, output


TYPESCRIPT_MISTAKES = [
    ("{ body: { email } }", "{ body: { mail: email } }"),
    ("{ body: { phoneNumber: phone } }", "{ body: { phoneNumber: 1 } }"),
    ("phoneNumber: phone, channel", "channel"),
    ("address.email ===", "address.phoneNumber ==="),
]


def test_the_typescript_types_detect_mistakes(typescript: Path) -> None:
    code, output = type_check(typescript, "flow.ts", *TYPESCRIPT_MISTAKES)
    assert code != 0, output
    assert one_error_each(output, TYPESCRIPT_MISTAKES, "ts"), output


def alternatives(node: Any) -> Iterator[Any]:
    """Yield the alternatives of every `oneOf` and `anyOf` in a part of the contract."""
    for name, each in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if name in ("oneOf", "anyOf"):
            yield from each
        yield from alternatives(each)


def test_alternatives_are_objects_that_have_a_name() -> None:
    """From two kinds of string, generators for Java, Kotlin and Go make an empty class that can hold no address."""
    contract = yaml.safe_load(CONTRACT.read_text())
    names = [each.get("$ref", "").rpartition("/")[2] for each in alternatives(contract)]
    assert names
    assert {contract["components"]["schemas"].get(name, {}).get("type") for name in names} == {"object"}


def test_redocly_accepts_the_contract(tmp_path: Path) -> None:
    """Redocly runs with its defaults, without a configuration."""
    code, output = run(npm_tools.command("redocly"), "lint", CONTRACT, into=tmp_path, REDOCLY_TELEMETRY="off", CI="1")
    assert code == 0, output
    assert "Your API description is valid" in output
