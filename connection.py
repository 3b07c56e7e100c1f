"""One Redis client from one URL: a single server, a Sentinel set or a Cluster.

redis://[user:password@]host[:port][/db]      rediss:// for TLS      unix:///path/to/socket
redis+sentinel://[user:password@]host:port[,host:port...]/service[?db=n]
redis+cluster://[user:password@]host:port[,host:port...]
"""

from collections.abc import Callable
from select import POLLIN
from ssl import SSLWantReadError
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from gevent import monkey
from gevent.pool import Group
from gevent.queue import LifoQueue
from redis import BlockingConnectionPool, Connection, Redis, RedisCluster, SSLConnection
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

Client = Redis | RedisCluster

_native_poll = monkey.get_original("select", "poll")

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
POOL_SIZE = 64  # a command takes well under a millisecond: more connections would only queue at Redis instead

# A refusal must be out within 2 s: at most 0.5 s for a free connection, then at most 1 s for Redis.
# Nothing is retried: a repeated HINCRBY or SET NX lies when only the first answer was lost.
# RESP2 lets the pool see that Redis closed an idle connection (with RESP3, redis-py 8 does not look).
_SOCKET: dict[str, Any] = {
    "socket_connect_timeout": 1.0,
    "socket_timeout": 1.0,
    "health_check_interval": 30,
    "protocol": 2,
    "driver_info": None,
    "decode_responses": True,
}
_CLUSTER_SOCKET = {**_SOCKET, "socket_connect_timeout": 0.5, "socket_timeout": 0.5}  # it then asks another server
_POOL: dict[str, Any] = {"max_connections": POOL_SIZE, "timeout": 0.5, "queue_class": LifoQueue}


class PromptConnection(Connection):
    """Sees a connection that Redis has closed with one system call, where gevent's own poll takes a dozen."""

    def can_read(self, timeout: float = 0) -> bool:
        """Whether there is anything to read, or the end, right now."""
        poll = _native_poll()
        poll.register(self._sock, POLLIN)
        return bool(poll.poll(0))


class PromptTlsConnection(SSLConnection):
    """The same over TLS 1.3, where a new connection has session tickets to read: they are no data."""

    def can_read(self, timeout: float = 0) -> bool:
        """Whether there is anything of Redis to read, or the end, right now."""
        sock: Any = self._sock
        sock.settimeout(0)
        try:
            sock.recv(1)  # what comes unasked makes the pool close the connection: nothing is lost
        except (SSLWantReadError, BlockingIOError):
            return False
        finally:
            sock.settimeout(self.socket_timeout)
        return True


class BlockingSentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Waits for a free connection to the primary instead of failing at once."""


class LateCluster:
    """A Cluster's client that is made when it is first used, for it wants the map of slots at once."""

    def __init__(self, make: Callable[[], RedisCluster]) -> None:
        self._make = make
        self._client: RedisCluster | None = None

    def __getattr__(self, name: str) -> Any:
        if self._client is None:
            self._client = self._make()
        return getattr(self._client, name)

    def pipeline(self, transaction: bool = False) -> "Volley":
        """What is meant to go out in one round trip."""
        return Volley(self.execute_command)


class Volley:
    """A pipeline that is none: the library's own, of a Cluster, repeats every command whose answer was lost."""

    def __init__(self, execute: Callable[..., Any]) -> None:
        self._execute = execute
        self._commands: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._commands)

    def execute_command(self, *command: Any) -> None:
        """Put it into the pipeline."""
        self._commands.append(command)

    def execute(self) -> list[Any]:
        """The answers, to commands that all go out at once."""
        replies = Group().map(self._reply, self._commands)
        if errors := [reply for reply in replies if isinstance(reply, Exception)]:
            raise errors[0]
        return list(replies)

    def _reply(self, command: tuple[Any, ...]) -> Any:
        try:
            return self._execute(*command)
        except Exception as e:  # `execute` raises it
            return e


def check(url: str) -> str:
    """Return `url` if it is one of those above.

    Raises:
        ValueError: it is not; the message shows nothing of it, for it may hold a password.
    """
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise ValueError(f"must start with one of {', '.join(s + '://' for s in SCHEMES)}")
    try:
        if scheme.startswith("redis+"):
            _hosts(url)
        else:
            parse_url(url)
    except ValueError as e:
        raise ValueError(f"must be a URL like {scheme}://host:port") from e
    if scheme == "redis+sentinel" and not urlsplit(url).path.strip("/"):
        raise ValueError("must name the Sentinel service: redis+sentinel://host:port/service")
    return url


def connect(url: str) -> Client:
    """Make a client for `url`, which `check` lets through. Contacts nobody yet."""
    scheme = urlsplit(url).scheme
    if scheme == "redis+sentinel":
        return _sentinel(url)
    if scheme == "redis+cluster":
        return cast(RedisCluster, LateCluster(lambda: _cluster(url)))
    prompt = {"redis": PromptConnection, "rediss": PromptTlsConnection}.get(scheme)
    kind: dict[str, Any] = {"connection_class": prompt} if prompt else {}
    return Redis(connection_pool=BlockingConnectionPool.from_url(url, retry=_no_retry(), **kind, **_SOCKET, **_POOL))


def _cluster(url: str) -> RedisCluster:
    # Only with a URL does the library use our pool; every server of ours is as good a start.
    return RedisCluster(
        url=url.replace("redis+cluster", "redis").partition(",")[0],
        startup_nodes=[ClusterNode(host, port) for host, port in _hosts(url)],
        connection_pool_class=BlockingConnectionPool,
        retry=_no_retry(),
        **_CLUSTER_SOCKET,
        **_POOL,
    )


def _sentinel(url: str) -> Redis:
    parts = urlsplit(url)
    service, db = parts.path.strip("/"), parse_qs(parts.query).get("db", ["0"])[0]
    sentinel = Sentinel(
        _hosts(url),
        sentinel_kwargs={"socket_connect_timeout": 0.5, "socket_timeout": 0.5, "retry": _no_retry(), "protocol": 2},
    )
    primary: Redis = sentinel.master_for(
        service,
        connection_pool_class=BlockingSentinelPool,
        db=int(db),
        retry=_no_retry(),
        **_credentials(url),
        **_SOCKET,
        **_POOL,
    )
    return primary


def _hosts(url: str) -> list[tuple[str, int]]:
    locations = urlsplit(url).netloc.rpartition("@")[2].split(",")
    each = [urlsplit(f"//{location}") for location in locations]
    if not all(one.hostname and one.port for one in each):
        raise ValueError("must give host:port for every server")
    return [(str(one.hostname), int(one.port or 0)) for one in each]


def _credentials(url: str) -> dict[str, Any]:
    user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)
