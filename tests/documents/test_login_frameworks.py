"""The logins in docs/login.md for Django, FastAPI and Express, as people would start them, against the real service."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
import requests

from sandbox.free_port import free_port
from sandbox.server import MESSAGE_ID
from tests.support import npm_tools
from tests.support.pages import PAGES
from tests.support.running import ROOT, Sandbox, Service, answers, refusal
from tests.support.signing import FOREIGN, KEY, OLD, PAST, SETTINGS, change_signature, key_id, public_pem, sign, tamper

PURPOSE = "login"
TEMPLATES = {"INFOBIP_TEMPLATES": json.dumps({"sms": {f"{PURPOSE}/*": MESSAGE_ID}})}
FRAMEWORKS = ("Django", "FastAPI", "Express")
REFUSED = 401
# The usual parts of a Django project; the page shows only its views.
DJANGO_PROJECT = """
from django.conf import settings

settings.configure(
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "users.sqlite3"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
)

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import ensure_csrf_cookie

application = get_wsgi_application()
call_command("migrate", verbosity=0)

import views

urlpatterns = [
    path("", ensure_csrf_cookie(lambda request: HttpResponse())),
    path("nonce", views.nonce),
    path("login", views.log_in),
]
"""
COMMANDS = {
    "Django": [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:PORT", "project:application"],
    "FastAPI": [sys.executable, "-m", "uvicorn", "--port=PORT", "website:app"],
    "Express": ["node", "website.mjs"],
}
FILES = {"Django": "views.py", "FastAPI": "website.py", "Express": "website.mjs"}


def code_block(name: str) -> str:
    """Return the first block of code after `name` in bold."""
    found = re.search(rf"\*\*{name}\*\*.*?^```\w+\n(.*?)^```", PAGES["docs/login.md"], re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


class Visitor:
    """A client with cookies, like a browser at a login."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Connection"] = "close"
        self.session.get(url, timeout=30)
        self.nonce = str(self._post("nonce").json()["nonce"])

    def _post(self, path: str, **body: str) -> requests.Response:
        csrf_token = self.session.cookies.get("csrftoken")  # set by Django, whose views take forms
        given = {"data": {**body, "csrfmiddlewaretoken": csrf_token}} if csrf_token else {"json": body}
        return self.session.post(f"{self.url}/{path}", timeout=30, **given)  # type: ignore[arg-type]

    def log_in(self, proof: str) -> requests.Response:
        return self._post("login", proof=proof)

    def proof(self, service: Service, sandbox: Sandbox, phone: str) -> str:
        """Return a proof of the service, as the person's app gets it."""
        fields = {"phoneNumber": phone, "purpose": PURPOSE}
        assert service.post("/send-otp", {**fields, "nonce": self.nonce}).status_code == 200
        return str(service.post("/verify-otp", {**fields, "pin": sandbox.pin(phone)}).json()["proof"])


class KeptService:
    """The service on a fixed port, with signing keys that change."""

    def __init__(self, stack: ExitStack, directory: Path, given: dict[str, str]) -> None:
        self._outer, self._directory = stack, directory
        self._given = {**given, **TEMPLATES, "PORT": str(free_port()), "WEB_CONCURRENCY": "1"}
        self.start(**SETTINGS)

    def start(self, **keys: str) -> None:
        self._stack = self._outer.enter_context(ExitStack())
        self.running = self._stack.enter_context(Service.started(self._directory, {**self._given, **keys}))

    def restart(self, **keys: str) -> None:
        self._stack.close()
        self.start(**keys)


@pytest.fixture(scope="module")
def kept(redis_url: str, _sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptService]:
    given = {"INFOBIP_BASE_URL": _sandbox.url, "REDIS_URL": redis_url}
    with ExitStack() as stack:
        yield KeptService(stack, tmp_path_factory.mktemp("kept"), given)


@pytest.fixture(scope="module")
def started(kept: KeptService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Return the URL of a framework's login, which keeps running for all tests of this module."""
    urls = dict[str, str]()
    with ExitStack() as stack:

        def start(framework: str) -> str:
            if framework not in urls:
                urls[framework] = stack.enter_context(website(framework, tmp_path_factory.mktemp(framework), kept))
            return urls[framework]

        yield start


class website(ExitStack):  # noqa: N801
    """A login with one framework, in a folder with the files that the page shows."""

    def __init__(self, framework: str, folder: Path, kept: KeptService) -> None:
        super().__init__()
        self._framework, self._folder, self._kept = framework, folder, kept

    def __enter__(self) -> str:  # type: ignore[override]
        port, folder = free_port(), self._folder
        (folder / FILES[self._framework]).write_text(code_block(self._framework))
        (folder / "project.py").write_text(DJANGO_PROJECT)
        (folder / "proof.py").write_text(code_block("In Python"))
        if self._framework == "Express":
            npm_tools.require(npm_tools.MODULES / "express")
            (folder / "node_modules").symlink_to(npm_tools.MODULES)
        inherited = {k: v for k, v in os.environ.items() if k.startswith(("PATH", "HOME"))}
        service = f"http://localhost:{self._kept.running.port}"
        given = {"OTP_URL": service, "OTP_PURPOSE": PURPOSE, "SECRET_KEY": "x" * 50, "PORT": str(port)}
        command = [part.replace("PORT", str(port)) for part in COMMANDS[self._framework]]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env={**inherited, **given}, stdout=log, stderr=log)
        self.callback(process.wait)
        self.callback(process.terminate)
        assert answers(f"http://localhost:{port}", process), (folder / "log").read_text()
        return f"http://localhost:{port}"


@pytest.fixture(params=FRAMEWORKS)
def login(request: pytest.FixtureRequest, started: Callable[[str], str], database: redis.Redis) -> str:
    """The URL of the login with one framework."""
    return started(request.param)


def test_the_page_shows_the_file_of_the_example() -> None:
    assert code_block("In Python") == (ROOT / "examples/login/proof.py").read_text()


def test_a_valid_proof_logs_in_once(login: str, kept: KeptService, sandbox: Sandbox, phone: str) -> None:
    visitor = Visitor(login)
    before = visitor.session.cookies.copy()
    proof = visitor.proof(kept.running, sandbox, phone)
    logged_in = visitor.log_in(proof)
    assert (logged_in.status_code, logged_in.json()) == (200, {"phoneNumber": phone})
    assert visitor.session.cookies.items() != before.items(), "another session"
    assert visitor.log_in(proof).status_code == REFUSED
    visitor.session.cookies = before
    assert visitor.log_in(proof).status_code == REFUSED, "with the cookie of before, which has the nonce"
    assert refusal(kept.running.post("/proofs/redeem", {"proof": proof})) == (409, "proof_already_redeemed")


def test_a_proof_of_another_session_is_refused(login: str, kept: KeptService, sandbox: Sandbox, phone: str) -> None:
    proof = Visitor(login).proof(kept.running, sandbox, phone)
    assert Visitor(login).log_in(proof).status_code == REFUSED
    assert kept.running.post("/proofs/redeem", {"proof": proof}).status_code == 200, "it was not used up"


def invalid_proofs(nonce: str) -> dict[str, str]:
    """Return proofs with one fault each."""
    right = {"nonce": nonce, "purpose": PURPOSE}
    return {
        "changed": tamper(sign(**right)),
        "another signature": change_signature(sign(**right)),
        "alg none": sign(None, "none", **right),
        "the public key as a shared secret": sign(public_pem(KEY).encode().hex(), "HS256", **right),
        "an unknown key": sign(FOREIGN, kid=key_id(FOREIGN), **right),
        "an unknown key with the id of the known one": sign(FOREIGN, **right),
        "another issuer": sign(iss="somebody", **right),
        "another audience": sign(aud="somebody", **right),
        "expired": sign(**PAST, **right),
        "another purpose": sign(nonce=nonce, purpose="newsletter"),
        "no purpose": sign(nonce=nonce),
        "another nonce": sign(nonce="another-nonce", purpose=PURPOSE),
        "no nonce": sign(purpose=PURPOSE),
        "a test number": sign(test=True, **right),
        "an e-mail address": sign(sub="jo@example.com", amr=["otp"], **right),
        "no proof": "",
        "text that is no proof": "not a proof",
    }


@pytest.mark.parametrize("name", invalid_proofs(""))
def test_an_invalid_proof_is_refused(login: str, name: str) -> None:
    visitor = Visitor(login)
    assert visitor.log_in(invalid_proofs(visitor.nonce)[name]).status_code == REFUSED


def test_a_session_without_a_nonce_cannot_log_in(login: str) -> None:
    visitor = Visitor(login)
    kept = {name: value for name, value in visitor.session.cookies.items() if name == "csrftoken"}
    visitor.session.cookies.clear()
    visitor.session.cookies.update(kept)
    assert visitor.log_in(sign(purpose=PURPOSE)).status_code == REFUSED


def test_the_signing_key_can_change_while_websites_run(
    started: Callable[[str], str], kept: KeptService, sandbox: Sandbox, database: redis.Redis
) -> None:
    """As the page says, the next key is announced before it signs, and the last one is accepted for a while."""
    visitors = {name: Visitor(started(name)) for name in FRAMEWORKS}
    before = {name: sign(nonce=visitors[name].nonce, purpose=PURPOSE) for name in FRAMEWORKS}
    kept.restart(PROOF_SIGNING_KEY=OLD, PROOF_OLD_KEYS=public_pem(KEY))
    for n, (name, visitor) in enumerate(visitors.items()):
        assert visitor.log_in(before[name]).status_code == 200, name
        later = Visitor(visitor.url)
        proof = later.proof(kept.running, sandbox, f"+4915123456{n:03}")
        assert later.log_in(proof).status_code == 200, name
