"""The running parts: the sandbox and the service."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import flask
import gevent
import psutil
import requests
from flask import Flask, Response
from werkzeug.local import LocalProxy

from sandbox.api import create_api
from sandbox.authorization import API_KEY
from sandbox.faults import CONNECTION
from sandbox.free_port import free_port
from sandbox.grammar import without_plus
from sandbox.model import Application, Configuration, EmailTemplate, Template
from sandbox.pins import Message
from sandbox.quirks import Quirks
from sandbox.relay import Relay
from sandbox.report_poster import ReportPoster
from sandbox.server import APPLICATION_ID, EMAIL_MESSAGE_ID, MESSAGE_ID, create_app, make_server
from sandbox.two_factor import TwoFactor
from tests.support import contract, leaks, openapi
from tests.support.forkserver import READ_AT_THE_START, Forked, fork_server

ROOT = Path(__file__).parents[2]
OPEN = "1000000 per minute"
DEFAULT_LIMITS = {"SEND_OTP_LIMIT": "", "VERIFY_OTP_LIMIT": ""}  # the service's own limits
Process = subprocess.Popen[bytes] | Forked
ACCOUNT = {
    "INFOBIP_API_KEY": API_KEY,
    "INFOBIP_2FA_APP_ID": APPLICATION_ID,
    "INFOBIP_2FA_MSG_ID": MESSAGE_ID,
}
# The sandbox accepts everything that the service lets through, so that only the service's limits apply in the tests.
LAX = Configuration(
    pin_attempts=1000,
    allow_multiple_pin_verifications=True,
    pin_time_to_live="10m",
    verify_pin_limit="100000/1s",
    send_pin_per_application_limit="100000/1s",
    send_pin_per_phone_number_limit="100000/1s",
)


class _Http(threading.local):
    """A session for each thread: the functions of requests make one for each request, which is a third of its cost."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False


http = _Http()


def answers(url: str, process: Process) -> bool:
    """Wait until `url` responds. Return False if `process` ends first, or after a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(requests.ConnectionError, requests.Timeout):
            http.session.get(url, headers={"Connection": "close"}, timeout=1)
            return True
        time.sleep(0.02)
    return False


class Clock:
    """The time of the sandbox, which tests can move."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Sandbox:
    """The local Infobip. Tests can read its phones, move its clock and count its requests."""

    url = ""
    service_url = ""  # where the page's form sends requests, from the next reset on
    reports_url: str | None = None  # where delivery reports are posted, from the next reset on

    def __init__(self) -> None:
        self._streams: list[socket.socket] = []
        self._report_poster = ReportPoster(None, time.time)
        self.reset()
        parts: tuple[Any, Any] = LocalProxy(lambda: self.two_factor), LocalProxy(lambda: self._report_poster)
        self._api = self._checked(create_api(*parts))

    def reset(
        self,
        configuration: Configuration = LAX,
        quirks: Quirks | None = None,
        fixed_pin: str | None = None,
        **template: Any,
    ) -> None:
        self.empty(quirks, fixed_pin)
        application = Application(application_id=APPLICATION_ID, name="Tests", configuration=configuration)
        ids = {"message_id": MESSAGE_ID, "application_id": APPLICATION_ID}
        text = {"message_text": "Your code is {{pin}}", "pin_length": 6, "pin_type": "NUMERIC"}
        email = EmailTemplate(
            message_id=EMAIL_MESSAGE_ID, application_id=APPLICATION_ID, email_template_id=1, pin_length=6
        )
        self.two_factor.applications.add(application, Template(**{**ids, **text, **template}), email)

    def forget_test(self) -> None:
        """Put the sandbox back into its first state: without messages, a service or a receiver of reports."""
        self.service_url, self.reports_url = "", None
        self.reset()

    def empty(self, quirks: Quirks | None = None, fixed_pin: str | None = None) -> None:
        """Make it an account without an application."""
        self.clock = Clock()
        self.two_factor = TwoFactor(lambda _: None, clock=self.clock, quirks=quirks, fixed_pin=fixed_pin)
        self._report_poster.stop()
        self._report_poster = ReportPoster(self.reports_url, self.clock, minute=0.05)
        self._pages: Flask | None = None
        self.calls: list[str] = []
        self.violations: list[str] = []

    def _checked(self, app: Flask) -> Flask:
        app.after_request(self._check)
        return app

    def _check(self, response: Response) -> Response:
        """Check every response of the API, and every request of the service, against Infobip's published contract."""
        asked, method = flask.request, flask.request.method
        if asked.path.startswith("/2fa/") and response.is_json and not response.is_streamed:
            self.violations += contract.answer_violations(method, asked.path, response.status_code, response.json)
            if asked.user_agent.string == "infobip-otp":
                self.violations += contract.request_violations(method, asked.path, asked.get_json(silent=True))
        return response

    @property
    def messages(self) -> list[Message]:
        return self.two_factor.changes()[1]

    def app(self, environ: Any, start_response: Any) -> Any:
        self.calls.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/events":
            self._streams.append(environ[CONNECTION])
        return self._app_of(environ["PATH_INFO"])(environ, start_response)

    def _app_of(self, path: str) -> Flask:
        """Return the app for a path. Making one takes 50 ms: tests share the API's, and make the pages' if needed."""
        if path.startswith("/2fa/"):
            return self._api
        if self._pages is None:
            relay = Relay(self.service_url, self.service_url)
            self._pages = self._checked(create_app(self.two_factor, relay, self._report_poster))
        return self._pages

    def hang_up(self) -> None:
        """Cut every stream of events, as a bad network does."""
        for stream in self._streams:
            with suppress(OSError), socket.socket(fileno=os.dup(stream.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)

    def pins(self, phone: str) -> list[str]:
        """Return the PINs that arrived on `phone`, which may be an e-mail address, oldest first."""
        to = without_plus(phone)
        return [m.pin.value for m in self.messages if m.pin.to == to]

    def pin(self, phone: str) -> str:
        """Return the newest PIN."""
        return self.pins(phone)[-1]

    def request_count(self) -> int:
        """Return how many sends and guesses arrived."""
        return sum("/pin" in path for path in self.calls)

    def verifies(self) -> int:
        """Return how many guesses arrived."""
        return sum(path.endswith("/verify") for path in self.calls)


@contextmanager
def serve(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Serve it on a real port, in a thread of this process."""
    port, servers = free_port(), queue.SimpleQueue[Any]()

    def run_server() -> None:
        server = make_server(("127.0.0.1", port), sandbox.app)
        servers.put(server)
        server.serve_forever()
        gevent.get_hub().destroy()  # what it leaves would disturb the end of the interpreter

    thread = threading.Thread(target=run_server, daemon=True)
    thread.start()
    server = servers.get(timeout=60)
    sandbox.url = f"http://127.0.0.1:{port}"
    yield sandbox
    server.loop.run_callback_threadsafe(gevent.spawn, server.stop)
    thread.join(60)
    assert not thread.is_alive()


def _gunicorn(
    address: str, directory: Path, env: dict[str, str], output: IO[bytes], stderr: int, cold: bool, source: Path
) -> Process:
    command = ["gunicorn", "-c", str(source / "gunicorn.conf.py"), "-b", address]
    if cold or any(name.startswith(READ_AT_THE_START) for name in env):
        return subprocess.Popen([sys.executable, "-m", *command], cwd=directory, env=env, stdout=output, stderr=stderr)
    outputs = [output.fileno(), output.fileno() if stderr == subprocess.STDOUT else stderr]
    return fork_server(env, source).start(command, directory, env, outputs)


class Service:
    """A gunicorn that runs the service."""

    def __init__(self, process: Process, port: int, log: Path, host: str = "127.0.0.1") -> None:
        self.process = process
        self.url = f"http://{host}:{port}"
        self.port = port
        self.address = (host, port)
        self._log = log
        self.directory = log.parent

    @classmethod
    @contextmanager
    def started(
        cls,
        directory: Path,
        settings: Mapping[str, str],
        host: str = "127.0.0.1",
        stderr: int = subprocess.STDOUT,
        cold: bool = False,
        source: Path = ROOT,
    ) -> Iterator["Service"]:
        """Run it in `directory`, which has no `.env` of the developer. Replicas share a port and differ by `host`.

        Its code is in `source`. With `cold`, it is a new Python, as people start it; others are forked from
        a process that has loaded the packages.
        """
        port, log = int(settings.get("PORT") or free_port()), directory / "log"
        inherited = {k: v for k, v in os.environ.items() if k.startswith(("PATH", "COVERAGE", "HOME", "LANG"))}
        # The guard is off and the limits are open: most tests send to many numbers of one prefix and verify none, as
        # SMS pumping does, or they send often to one number, and all of them use one address.
        given = {
            **ACCOUNT,
            "PORT": str(port),
            "FRAUD_GUARD": "off",
            **dict.fromkeys(("SEND_OTP_LIMIT", "VERIFY_OTP_LIMIT", "PHONE_SEND_LIMIT"), OPEN),
            "LOG_LEVEL": "DEBUG",
            "METRICS_PORT": "0",
            **settings,
        }
        leaks.note_settings(given)
        with log.open("wb") as output:
            process = _gunicorn(f"{host}:{port}", directory, {**inherited, **given}, output, stderr, cold, source)
        service = cls(process, port, log, host)
        try:
            service.wait_until_up(int(given.get("WEB_CONCURRENCY", 2) or 1))
            yield service
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(60)
        assert not (leaked := leaks.in_log(service.log())), leaked

    def wait_until_up(self, workers: int = 1) -> None:
        """Wait until one worker responds and the others run."""
        assert answers(f"{self.url}/healthz", self.process), f"the service did not come up:\n{self.log()}"
        while len(self.workers()) < workers:
            assert self.process.poll() is None, self.log()
            time.sleep(0.01)

    def log(self) -> str:
        return self._log.read_text()

    def lines(self, **having: Any) -> list[dict[str, Any]]:
        """Return the lines of its log with these members."""
        lines = [json.loads(line) for line in self.log().splitlines() if line[:1] + line[-1:] == "{}"]
        return [line for line in lines if having.items() <= line.items()]

    def log_with(self, *answers: requests.Response) -> str:
        """Return its log when it has the line of each of these responses. A worker's lines come in order."""
        ids = {answer.headers["X-Request-ID"] for answer in answers}
        deadline = time.monotonic() + 60
        while ids - {line["request_id"] for line in self.lines(event="request")}:
            assert time.monotonic() < deadline, "a request has no line in the log"
            time.sleep(0.01)
        return self.log()

    def workers(self) -> list[int]:
        of_linux = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if of_linux.exists():  # psutil would read all processes of the machine
            return [int(pid) for pid in of_linux.read_text().split()]
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def post(self, path: str, json: Any = None, **kwargs: Any) -> requests.Response:
        # If a test keeps the response, an open connection would delay the end of the service.
        headers = {"Connection": "close", **kwargs.pop("headers", {})}
        secrets = leaks.note_request(headers, json)
        response = http.session.post(f"{self.url}{path}", json=json, headers=headers, timeout=30, **kwargs)
        assert path == "/proofs/redeem" or leaks.in_answer(response, secrets) == []
        assert openapi.violations(response) == []
        leaks.note_response(response)
        return response

    def get(self, path: str, **headers: str) -> requests.Response:
        headers = {"Connection": "close", **headers}
        secrets = leaks.note_request(headers, None)
        response = http.session.get(f"{self.url}{path}", headers=headers, timeout=30)
        assert leaks.in_answer(response, secrets) == []
        assert openapi.violations(response) == []
        leaks.note_response(response)
        return response

    def send(self, phone: str, **kwargs: Any) -> requests.Response:
        return self.post("/send-otp", {"phoneNumber": phone}, **kwargs)

    def verify(self, phone: str, pin: Any, **kwargs: Any) -> requests.Response:
        return self.post("/verify-otp", {"phoneNumber": phone, "pin": pin}, **kwargs)


def refusal(response: requests.Response) -> tuple[int, str]:
    """Return status and code of a refusal, after checking its shape."""
    body = response.json()
    assert set(body) == {"error", "code"}
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Request-ID"]
    assert response.headers["Cache-Control"] == "no-store" or "Connection" in response.headers
    return response.status_code, body["code"]


def other_pin(pin: str) -> str:
    """Return a PIN of the same form that is not `pin`."""
    return "".join(str((int(c) + 1) % 10) for c in pin)
