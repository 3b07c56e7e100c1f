"""Tests a rolling update and its rollback: the previous release, from git, and this version share one Redis."""

import io
import re
import subprocess
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
import yaml
from urllib3.exceptions import NewConnectionError

from otp import VERSION
from otp.proofs import new_signing_key
from sandbox.server import MESSAGE_ID
from tests.support.command import eventually
from tests.support.openapi import resolved
from tests.support.running import ROOT, Sandbox, Service, other_pin, refusal

# The last commit before 0.1.0. A release puts the commit of the one before it here.
PREVIOUS = "2b3eb403f0acdfd57324d35295b452a86e0c4ba4"
MARK = "the one before"

KEYS = {name: f"{name}-key-0123456789" for name in ("shop", "bank", "kiosk")}
SETTINGS = {
    "WEB_CONCURRENCY": "1",
    "COVERAGE_PROCESS_CONFIG": "",  # the coverage of the previous version does not count
    "API_KEYS": ",".join(f"{name}:{key}" for name, key in KEYS.items()),
    "PROOF_SIGNING_KEY": new_signing_key(),
    "INFOBIP_TEMPLATES": f'{{"sms": {{"payment/*": "{MESSAGE_ID}"}}}}',
    "PIN_ATTEMPTS": "3",
}
LIMITS = {
    "PHONE_SEND_LIMIT": "2 per day",
    "PHONE_SEND_SHARE": "1",
    "SEND_OTP_LIMIT": "3 per hour",
    "CLIENT_LIMITS": "shop: send=4 per hour, bank: quota=5 per day",
    "TOTAL_SEND_LIMIT": "6 per day",
    "FRAUD_GUARD": "block",
    "GUARD_PREFIX_HOUR": "2",
    "SMS_PRICES": '{"currency": "EUR", "default": 0.1, "GB": 1}',
    "DAILY_BUDGET": "3",
}
TOO_MANY, INVALID, REDEEMED = (429, "too_many_requests"), (401, "invalid_otp"), (409, "proof_already_redeemed")
AT_EACH_STEP = 20  # people
_places = count()


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source of the previous release, changed so that its `/readyz` reports MARK as its version."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--is-shallow-repository"]
    found = subprocess.run(command, capture_output=True, text=True, check=False) if (ROOT / ".git").exists() else None
    if not found or found.stdout.strip() != "false":
        pytest.skip("the history of the repository is not here (git fetch --unshallow)")
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", PREVIOUS], capture_output=True, check=True).stdout
    tree = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    (tree / "otp/__init__.py").write_text(f'VERSION = "{MARK}"\n')
    return tree


class Replicas:
    """Starts and stops replicas of both versions; `ready` are those that get requests."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        self._directory = directory
        self._settings = settings
        self._running: dict[Service, ExitStack] = {}
        self.ready: list[Service] = []

    def add(self, source: Path) -> Service:
        stack, directory = ExitStack(), self._directory / str(len(list(self._directory.iterdir())))
        directory.mkdir()
        service = stack.enter_context(Service.started(directory, self._settings, source=source))
        self._running[service] = stack
        self.ready.append(service)
        assert service.get("/readyz").json()["version"] == (VERSION if source == ROOT else MARK)
        return service

    def stop(self, service: Service) -> None:
        self.ready.remove(service)
        self._running.pop(service).close()

    def close(self) -> None:
        for service in self.ready:  # all at once: each takes its time to drain
            service.process.terminate()
        for service in [*self.ready]:
            self.stop(service)


@pytest.fixture(scope="module")
def both(
    previous: Path, _sandbox: Sandbox, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Service]]:
    """Start the previous release and this one, with every limit."""
    given = {"INFOBIP_BASE_URL": _sandbox.url, "REDIS_URL": redis_url, **SETTINGS, **LIMITS}
    with closing(Replicas(tmp_path_factory.mktemp("both"), given)) as replicas:
        yield [replicas.add(previous), replicas.add(ROOT)]


@pytest.fixture(params=["an update", "a rollback"])
def in_turn(
    request: pytest.FixtureRequest, both: list[Service], database: redis.Redis, sandbox: Sandbox
) -> list[Service]:
    return both if request.param == "an update" else both[::-1]


def of(client: str, **more: str) -> dict[str, str]:
    """Return the headers of a client app, for an end user with an address of their own."""
    return {"Authorization": f"Bearer {KEYS[client]}", "X-End-User-IP": f"198.51.100.{next(_places) % 250}", **more}


def test_one_version_completes_what_the_other_began(
    in_turn: list[Service], sandbox: Sandbox, database: redis.Redis, phone: str
) -> None:
    one, other = in_turn
    body, headers = {"phoneNumber": phone, "purpose": "payment"}, of("kiosk", **{"Idempotency-Key": f"send-{phone}"})
    sent = one.post("/send-otp", {**body, "nonce": "order-4711"}, headers=headers)
    again = other.post("/send-otp", {**body, "nonce": "order-4711"}, headers=headers)
    assert (sent.status_code, sent.content) == (200, again.content), "kept answers"
    refused = other.post("/send-otp", body, headers=of("kiosk"))
    assert refusal(refused) == TOO_MANY
    assert 1 <= int(refused.headers["Retry-After"]) <= 30, "the cooldown"
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    body["verificationId"] = sent.json()["verificationId"]
    resent = other.post("/resend-otp", {**body, "channel": "voice"}, headers=of("kiosk"))
    assert (resent.status_code, len(sandbox.pins(phone))) == (200, 2)

    pin, headers = sandbox.pin(phone), of("kiosk")
    for service in in_turn:
        assert refusal(service.post("/verify-otp", {**body, "pin": other_pin(pin)}, headers=headers)) == INVALID
    verified = other.post("/verify-otp", {**body, "pin": pin}, headers=headers)
    assert verified.status_code == 200, "the third guess of three"
    states = [service.get(f"/verifications/{body['verificationId']}", **headers).json() for service in in_turn]
    assert states[0] == states[1]
    assert states[0]["status"] == "verified"
    assert refusal(one.post("/verify-otp", {**body, "pin": pin}, headers=headers)) == INVALID, "it is used"
    proof = {"proof": verified.json()["proof"]}
    redeemed = one.post("/proofs/redeem", proof, headers=headers)
    assert (redeemed.status_code, redeemed.json()["nonce"]) == (200, "order-4711")
    assert refusal(other.post("/proofs/redeem", proof, headers=headers)) == REDEEMED


def test_both_versions_count_guesses_together(in_turn: list[Service], sandbox: Sandbox, phone: str) -> None:
    one, other = in_turn
    assert one.send(phone, headers=of("kiosk")).status_code == 200
    pin = sandbox.pin(phone)
    for service, guess in (
        (one, other_pin(pin)),
        (other, other_pin(pin)),
        (one, other_pin(pin)),
        (one, pin),
        (other, pin),
    ):
        assert refusal(service.verify(phone, guess, headers=of("kiosk"))) == INVALID
    assert sandbox.verifies() == 3


@pytest.mark.parametrize(
    ("reason", "amount", "client", "phones"),
    [
        ("phone_limit", 2, "kiosk", "+4915110001000"),
        ("guard_prefix", 2, "kiosk", "+491511000{:04}"),
        ("day_budget", 3, "kiosk", "+4474{:04}0000"),
        ("address_limit", 3, "kiosk", "+4915{:04}00000"),
        ("client_rate", 4, "shop", "+4915{:04}00000"),
        ("client_quota", 5, "bank", "+4915{:04}00000"),
        ("total_limit", 6, "kiosk", "+4915{:04}00000"),
    ],
)
def test_both_versions_count_limits_together(
    both: list[Service], database: redis.Redis, sandbox: Sandbox, reason: str, amount: int, client: str, phones: str
) -> None:
    end_user, place, seen = of(client), count(1100), []
    for service in both * (amount // 2 + 1):
        phone = phones.format(next(place))
        answer = service.send(phone, headers=end_user if reason == "address_limit" else of(client))
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
        service.log_with(answer)
        (line,) = service.lines(event="request", request_id=answer.headers["X-Request-ID"])
        seen.append(line["reason"])
    assert seen[:amount] == [None] * amount
    assert set(seen[amount:]) == {reason}
    assert len(sandbox.messages) == amount


class People:
    """People who sign in through the next replica each time, until the test has seen enough."""

    def __init__(self, replicas: Replicas, sandbox: Sandbox) -> None:
        self._replicas, self._sandbox = replicas, sandbox
        self._turns, self._numbers = count(), (f"+49151{n}" for n in count(20000000))
        self._lock, self._enough = threading.Lock(), threading.Event()
        self.seen: list[tuple[int, ...]] = []

    @contextmanager
    def coming(self) -> Iterator[None]:
        with ThreadPoolExecutor(4) as executor:
            crowd = [executor.submit(self._come) for _ in range(4)]
            try:
                yield
            finally:
                self._enough.set()
            for each in crowd:
                each.result()

    def wait_for_more(self) -> None:
        before = len(self.seen)
        eventually(lambda: len(self.seen) >= before + AT_EACH_STEP or self._enough.is_set())

    def _come(self) -> None:
        while not self._enough.is_set():
            try:
                self.seen.append(self._one())
            except BaseException:
                self._enough.set()
                raise

    def _one(self) -> tuple[int, ...]:
        """Return the statuses of a send, a wrong guess, a right one, and a redeem."""
        with self._lock:
            phone = next(self._numbers)
        sent = self._ask("/send-otp", {"phoneNumber": phone})
        assert sent.status_code == 200, sent.text
        guess = {"phoneNumber": phone, "verificationId": sent.json()["verificationId"]}
        pin = self._sandbox.pin(phone)
        failed = self._ask("/verify-otp", {**guess, "pin": other_pin(pin)})
        verified = self._ask("/verify-otp", {**guess, "pin": pin})
        redeemed = self._ask("/proofs/redeem", {"proof": verified.json().get("proof")})
        return tuple(each.status_code for each in (sent, failed, verified, redeemed))

    def _ask(self, path: str, body: dict[str, str]) -> requests.Response:
        """Post to the next replica that listens, as a proxy does."""
        while True:
            with self._lock:
                service = self._replicas.ready[next(self._turns) % len(self._replicas.ready)]
            try:
                return service.post(path, body, headers=of("kiosk"))
            except requests.ConnectionError as e:
                if not isinstance(getattr(e.args[0], "reason", None), NewConnectionError):
                    raise


@pytest.mark.parametrize("goes_back", [False, True], ids=["an update", "a rollback"])
def test_no_request_fails_while_replicas_are_replaced(
    previous: Path, sandbox: Sandbox, database: redis.Redis, redis_url: str, tmp_path: Path, goes_back: bool
) -> None:
    before, after = (ROOT, previous) if goes_back else (previous, ROOT)
    given = {"INFOBIP_BASE_URL": sandbox.url, "REDIS_URL": redis_url, **SETTINGS}
    with closing(Replicas(tmp_path, given)) as replicas:
        first = [replicas.add(before), replicas.add(before)]
        people = People(replicas, sandbox)
        with people.coming():
            for old in first:
                people.wait_for_more()
                last = replicas.add(after)
                people.wait_for_more()
                replicas.stop(old)
            people.wait_for_more()
    assert Counter(people.seen) == {(200, 401, 200, 200): len(people.seen)}
    assert len(sandbox.messages) == len(people.seen), "one SMS each"
    if not goes_back:
        assert log_fields(first[0]) <= log_fields(last)


def log_fields(service: Service) -> set[tuple[str, str]]:
    """Return the fields of the request lines, by route."""
    return {(line["route"], field) for line in service.lines(event="request") for field in line}


def members(schema: Any) -> Iterator[str]:
    """Yield the names of all members, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
    if isinstance(schema, dict | list):
        for each in schema.values() if isinstance(schema, dict) else schema:
            yield from members(each)


def contract(tree: Path) -> Iterator[str]:
    """Yield what clients may send and get, and the codes of refusals."""
    written = yaml.safe_load((tree / "openapi.yaml").read_text())
    for path, item in resolved(written, written)["paths"].items():
        for method, operation in item.items():
            yield from (f"{method} {path} takes {name}" for name in members(operation.get("requestBody")))
            for status, response in operation["responses"].items():
                yield f"{method} {path} {status}"
                yield from (f"{method} {path} {status} has {name}" for name in members(response))
    yield from written["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"]


def stable_names(tree: Path) -> set[str]:
    """Return the names that docs/deploy.md promises to keep."""
    settings = re.findall("(?m)^#? ?([A-Z][A-Z0-9_]+=)", (tree / ".env.example").read_text())
    metric = r'(?:Counter|Gauge|Histogram)\("(\w+)", "[^"]*"(?:, \[(.*?)\])?'
    metrics = re.findall(metric, (tree / "otp/telemetry/metrics.py").read_text())
    labels = {f"{name} {label}" for name, labels in metrics for label in labels.split(", ")}
    return {*contract(tree), *settings, *labels}


def test_no_stable_name_was_removed(previous: Path) -> None:
    before = stable_names(previous)
    assert {"post /send-otp 200 has verificationId", "invalid_otp", "REDIS_URL=", 'otp_sends "country"'} <= before
    assert before - stable_names(ROOT) == set()
