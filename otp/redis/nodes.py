"""Which server runs a command, and the connections to the servers."""

import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import RLock
from typing import Any, Protocol, cast

import gevent
from gevent import monkey
from redis import Connection, ConnectionPool, Redis, RedisCluster, RedisError, SSLConnection, UnixDomainSocketConnection
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import AskError, MovedError, RedisClusterException
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from otp.redis.blocking_connection import BlockingConnection
from otp.redis.scripts import Command, key_of, pack
from otp.redis.shared_connection import OPEN_TIMEOUT, SILENCE_TIMEOUT, SharedConnection
from otp.redis.url import RedisUrl, parse

REPLY_TIMEOUT = 1.5  # seconds for all replies of a round trip: a refusal must be out within 2 s
SLOTS_TIMEOUT = 1.0  # seconds to load a Cluster's slots
LOOKUP_TIMEOUT = 0.5  # seconds for a Sentinel to name the primary, or a node the slots

# redis-py must not retry: after a lost reply, a repeated HINCRBY or SET NX gives a wrong result.
_OPTIONS: dict[str, Any] = {"protocol": 2, "driver_info": None, "decode_responses": True}
# Load balancers drop silent connections. The kernel keeps them alive, and notices where they are dead.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
_TCP = {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}

Refusals = Sequence[Exception | None]
NodeConnection = SharedConnection | BlockingConnection

_ASKING = pack(("ASKING",))
LOAD_FAILURES = (RedisClusterException, TypeError, ValueError, LookupError)  # redis-py does not check the reply's form


class Nodes(Protocol):
    """The servers behind one URL."""

    def execute(self, commands: Sequence[Command], timeout: float, refusals: Refusals = ()) -> list[Any]:
        """Run the commands in one round trip; returns their replies, errors among them.

        Args:
            timeout: seconds for all replies.
            refusals: the error of each command, if it was refused before; the error may name another node.
        """

    def primaries(self) -> list[NodeConnection]:
        """The connection to each server that takes writes."""

    def close(self) -> None:
        """Close all connections."""


def nodes(url: str) -> Nodes:
    """The servers of `url`, which `url.parse` accepts. Opens no connection yet."""
    parsed = parse(url)
    if parsed.kind == "cluster":
        return ClusterNodes(parsed)
    return OneNode(_factory(_pool(parsed, **_timeouts())))


class OneNode:
    """A single server, or the primary that Sentinels name.

    Args:
        make: makes a redis-py connection to the server that is not open yet.
    """

    def __init__(self, make: Callable[[], Connection]) -> None:
        self._connection = _connection(make)

    def execute(self, commands: Sequence[Command], timeout: float, refusals: Refusals = ()) -> list[Any]:
        """See `Nodes`."""
        packed = b"".join([pack(command) for command in commands])
        return self._connection.submit(packed, len(commands), timeout).wait()

    def primaries(self) -> list[NodeConnection]:
        """See `Nodes`."""
        return [self._connection]

    def close(self) -> None:
        """See `Nodes`."""
        self._connection.close()


class ClusterNodes:
    """The primaries of a Cluster, each with a connection. redis-py knows which node has which slot."""

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        self._connections: dict[tuple[str, int], NodeConnection] = {}
        self._cluster: RedisCluster | None = None
        self._is_stale = True
        self._loaded_at = 0.0
        self._load_lock = RLock()

    def execute(self, commands: Sequence[Command], timeout: float, refusals: Refusals = ()) -> list[Any]:
        """See `Nodes`."""
        refusals = refusals or [None] * len(commands)
        try:
            if any(isinstance(refusal, MovedError) for refusal in refusals):
                self._is_stale = True
            began = time.monotonic()
            cluster = self._fresh_cluster(timeout)
            timeout -= time.monotonic() - began
            batches = [self._submit(cluster, *each, timeout) for each in zip(commands, refusals, strict=True)]
            return [batch.wait()[-1] for batch in batches]
        except (RedisError, OSError):
            self._is_stale = True  # another node may have replaced the one that failed
            raise

    def primaries(self) -> list[NodeConnection]:
        """See `Nodes`."""
        return [self._at(str(node.host), int(node.port)) for node in self._fresh_cluster(SLOTS_TIMEOUT).get_primaries()]

    def close(self) -> None:
        """See `Nodes`."""
        for connection in self._connections.values():
            connection.close()
        if self._cluster:
            self._cluster.close()

    def _submit(self, cluster: RedisCluster, command: Command, refusal: Exception | None, timeout: float) -> Any:
        packed, expected = pack(command), 1
        if isinstance(refusal, AskError) and not isinstance(refusal, MovedError):
            packed, expected = _ASKING + packed, 2  # the slot moves to that node, which serves it only after an ASKING
        return self._at(*self._address(cluster, command, refusal)).submit(packed, expected, timeout)

    def _address(self, cluster: RedisCluster, command: Command, refusal: Exception | None) -> tuple[str, int]:
        if isinstance(refusal, AskError) and refusal.host:  # a MovedError is an AskError, too
            return str(refusal.host), int(refusal.port)
        try:
            node = cluster.get_node_from_key(key_of(command))
        except RedisClusterException as e:
            raise RedisConnectionError("no node has this slot") from e
        # A refusal without a host means the host that refused, at another port.
        return str(node.host), int(refusal.port if isinstance(refusal, AskError) else node.port)

    def _at(self, host: str, port: int) -> NodeConnection:
        known = self._connections.get((host, port))
        if known is None:
            known = _connection(_factory(_server((host, port), self._url, **_timeouts())))
            self._connections[host, port] = known
        return known

    def _fresh_cluster(self, timeout: float) -> RedisCluster:
        """redis-py's client, which knows the slots. One caller loads them; the others wait, and use the same."""
        if self._is_stale:
            started = time.monotonic()
            with self._load_lock:
                if self._is_stale and self._loaded_at < started:
                    self._load(min(SLOTS_TIMEOUT, max(timeout, 0.01)))
        if self._cluster is None:
            raise RedisConnectionError("no node of the Cluster answers")
        return self._cluster

    def _load(self, timeout: float) -> None:
        try:
            with gevent.Timeout(timeout):
                if self._cluster is None:
                    self._cluster = _cluster(self._url)
                else:
                    self._cluster.nodes_manager.initialize()
            self._is_stale = False
        except LOAD_FAILURES as e:
            self._forget_slots()
            raise RedisConnectionError("no node of the Cluster answers") from e
        except gevent.Timeout as e:
            self._forget_slots()
            raise RedisTimeoutError("no node of the Cluster answers in time") from e
        finally:
            self._loaded_at = time.monotonic()

    def _forget_slots(self) -> None:
        """Start again from the addresses of the URL."""
        if self._cluster:
            self._cluster.close()
        self._cluster = None


def _connection(make: Callable[[], Connection]) -> NodeConnection:
    return SharedConnection(make) if _is_patched() else BlockingConnection(make)


def _is_patched() -> bool:
    return bool(monkey.is_module_patched("socket"))


def _timeouts() -> dict[str, float | None]:
    """A socket's timeouts. Where gevent has patched it, SharedConnection watches over the replies."""
    return {"socket_connect_timeout": OPEN_TIMEOUT, "socket_timeout": None if _is_patched() else SILENCE_TIMEOUT}


def _pool(url: RedisUrl, **options: Any) -> ConnectionPool:
    """redis-py's connection pool for the single server of `url`, or for the primary that Sentinels name."""
    if url.kind == "sentinel":
        return _primary(url, **options).connection_pool
    if url.kind == "socket":
        options = {**_OPTIONS, **options, **url.options}
        return ConnectionPool(UnixDomainSocketConnection, path=url.name, retry=_no_retry(), **options)
    return _server(url.hosts[0], url, **options)


def _server(address: tuple[str, int], url: RedisUrl, **options: Any) -> ConnectionPool:
    host, port = address
    options = {**_OPTIONS, **_TCP, **options, **url.options}
    return ConnectionPool(SSLConnection if url.tls else Connection, host=host, port=port, retry=_no_retry(), **options)


def _factory(pool: Any) -> Callable[[], Connection]:
    """Make connections as `pool` would, which counts all that it ever made, and refuses the 101st."""
    return lambda: cast(Connection, pool.connection_class(**pool.connection_kwargs))


def _primary(url: RedisUrl, **options: Any) -> Redis:
    tls = {"ssl": url.tls, **url.tls_options}
    lookup = {"socket_connect_timeout": LOOKUP_TIMEOUT, "socket_timeout": LOOKUP_TIMEOUT, "retry": _no_retry()}
    lookup |= {"protocol": 2, "redis_connect_func": _open_pooled, **tls, **url.sentinel_credentials}
    sentinels = Sentinel(url.hosts, sentinel_kwargs=lookup)
    options = {**_OPTIONS, **_TCP, **options, **url.options, **tls}
    primary: Redis = sentinels.master_for(url.name, retry=_no_retry(), **options)
    return primary


def _cluster(url: RedisUrl) -> RedisCluster:
    options = {**_OPTIONS, **url.options, "socket_connect_timeout": LOOKUP_TIMEOUT, "socket_timeout": LOOKUP_TIMEOUT}
    options.pop("db", None)  # it can only be 0, and redis-py refuses the option
    by_name = partial(_by_name, url.hosts[0][0])
    nodes = [ClusterNode(*by_name(host)) for host in url.hosts]
    options |= {"ssl": url.tls, "address_remap": by_name, "redis_connect_func": _open_clustered}
    try:
        return RedisCluster(startup_nodes=nodes, retry=_no_retry(), **options)
    except BaseException:  # redis-py leaves the connections that it has opened until then to the garbage collector
        for node in nodes:
            if node.redis_connection:
                node.redis_connection.connection_pool.disconnect()
        raise


def _by_name(usual: str, address: tuple[str | None, int]) -> tuple[str, int]:
    """The host of `address`, or the `usual` host if the Cluster names none, in a spelling that redis-py keeps.

    redis-py replaces `localhost` by its IP address, for which a certificate is not valid.
    """
    host, port = address
    name = host or usual
    return "LOCALHOST" if name == "localhost" else name, port


def ping(url: str) -> None:
    """Send a PING over a new connection. Raises one of FAILURES or LOAD_FAILURES, the reply if that is an error.

    redis-py's pools hide an error that comes before there was a command, as in protected mode.
    """
    parsed = parse(url)
    if parsed.kind == "cluster":
        _cluster(parsed).close()  # it has asked for the slots
        return
    connection = _factory(_pool(parsed, socket_connect_timeout=OPEN_TIMEOUT, socket_timeout=SILENCE_TIMEOUT))()
    try:
        connection.connect()
        connection.send_command("PING", check_health=False)
        connection.read_response()
    finally:
        connection.disconnect()


def _open_pooled(connection: Connection) -> None:
    """Do what redis-py does with a new connection, and `_fetch_tickets`."""
    connection.on_connect()
    _fetch_tickets(connection)


def _open_clustered(connection: Connection) -> None:
    """`_fetch_tickets`, and read a host that the Cluster does not name as "".

    redis-py fails at the None of a node that has all slots, and takes "" for the node that has replied.
    """
    _fetch_tickets(connection)
    connection.read_response = partial(_with_hosts, connection)  # type: ignore[method-assign]


def _with_hosts(connection: Connection, *args: Any, **options: Any) -> Any:
    reply = type(connection).read_response(connection, *args, **options)
    for slots in reply if isinstance(reply, list) else []:
        for server in slots if isinstance(slots, list) else []:
            if isinstance(server, list) and server and server[0] is None:
                server[0] = ""
    return reply


def _fetch_tickets(connection: Connection) -> None:
    """Read the session tickets of TLS 1.3 together with a reply: redis-py's pools would take them for a reply."""
    if isinstance(connection, SSLConnection):
        connection.send_command("PING", check_health=False)
        connection.read_response()


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)
