"""Which server runs a command, and the connection to it."""

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
from otp.redis.shared_connection import OPENING, SILENCE, SharedConnection
from otp.redis.url import RedisUrl, parse

REPLIES = 1.5  # seconds for all the replies of a round trip: a refusal must be out within 2 s
TABLE = 1.0  # seconds to load a Cluster's table of slots
ASKED = 0.5  # seconds for a Sentinel or a node to say who is the primary of what

# Nothing is retried below us: a repeated HINCRBY or SET NX lies when only the first reply was lost.
_OPTIONS: dict[str, Any] = {"protocol": 2, "driver_info": None, "decode_responses": True}
# A load balancer forgets a connection that is silent. The kernel keeps it alive, and finds out where it is dead.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
_TCP = {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}

Refusals = Sequence[Exception | None]
NodeConnection = SharedConnection | BlockingConnection

_ASKING = pack(("ASKING",))


class Nodes(Protocol):
    """The servers behind one URL."""

    def ask(self, commands: Sequence[Command], patience: float, refusals: Refusals = ()) -> list[Any]:
        """Send the commands in one round trip; returns their replies, those that are errors too.

        Args:
            patience: seconds for all the replies.
            refusals: of each command that was refused before, the error; it may say who else is to be asked.
        """

    def close(self) -> None:
        """End all connections."""


def nodes(url: str) -> Nodes:
    """The servers of `url`, which `url.check` lets through. Contacts nobody yet."""
    parsed = parse(url)
    if parsed.kind == "cluster":
        return ClusterNodes(parsed)
    return OneNode(_maker(_pool(parsed, **_timeouts())))


class OneNode:
    """A single server, or the primary that Sentinels know.

    Args:
        make: makes a connection to it that is not open yet.
    """

    def __init__(self, make: Callable[[], Connection]) -> None:
        self._connection = _connection(make)

    def ask(self, commands: Sequence[Command], patience: float, refusals: Refusals = ()) -> list[Any]:
        """See `Nodes`."""
        packed = b"".join([pack(command) for command in commands])
        return self._connection.submit(packed, len(commands), patience).wait()

    def close(self) -> None:
        """See `Nodes`."""
        self._connection.close()


class ClusterNodes:
    """The primaries of a Cluster, each with a connection. redis-py knows which slot is whose."""

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        self._connections: dict[tuple[str, int], NodeConnection] = {}
        self._table: RedisCluster | None = None
        self._is_stale = True
        self._looked = 0.0
        self._loading = RLock()

    def ask(self, commands: Sequence[Command], patience: float, refusals: Refusals = ()) -> list[Any]:
        """See `Nodes`."""
        refusals = refusals or [None] * len(commands)
        try:
            if any(isinstance(refusal, MovedError) for refusal in refusals):
                self._is_stale = True
            began = time.monotonic()
            table = self._slots(patience)
            patience -= time.monotonic() - began
            batches = [self._submit(table, *each, patience) for each in zip(commands, refusals, strict=True)]
            return [batch.wait()[-1] for batch in batches]
        except (RedisError, OSError):
            self._is_stale = True  # another node may have taken the place of one that is gone
            raise

    def close(self) -> None:
        """See `Nodes`."""
        for connection in self._connections.values():
            connection.close()
        if self._table:
            self._table.close()

    def _submit(self, table: RedisCluster, command: Command, refusal: Exception | None, patience: float) -> Any:
        packed, expected = pack(command), 1
        if isinstance(refusal, AskError) and not isinstance(refusal, MovedError):
            packed, expected = (
                _ASKING + packed,
                2,
            )  # the slot is on its way to that node, which wants to hear that we know
        return self._at(*self._address(table, command, refusal)).submit(packed, expected, patience)

    def _address(self, table: RedisCluster, command: Command, refusal: Exception | None) -> tuple[str, int]:
        if isinstance(refusal, AskError) and refusal.host:  # MOVED is one, too
            return str(refusal.host), int(refusal.port)
        try:
            node = table.get_node_from_key(key_of(command))
        except RedisClusterException as e:
            raise RedisConnectionError("no node has this slot") from e
        # Where no host stands in it, it is the one that was asked, at another port.
        return str(node.host), int(refusal.port if isinstance(refusal, AskError) else node.port)

    def _at(self, host: str, port: int) -> NodeConnection:
        known = self._connections.get((host, port))
        if known is None:
            known = _connection(_maker(_server((host, port), self._url, **_timeouts())))
            self._connections[host, port] = known
        return known

    def _slots(self, patience: float) -> RedisCluster:
        """The table of the slots. One caller loads it while the others wait, and take what that one found."""
        if self._is_stale:
            asked = time.monotonic()
            with self._loading:
                if self._is_stale and self._looked < asked:
                    self._load(min(TABLE, max(patience, 0.01)))
        if self._table is None:
            raise RedisConnectionError("no node of the Cluster answers")
        return self._table

    def _load(self, patience: float) -> None:
        try:
            with gevent.Timeout(patience):
                if self._table is None:
                    self._table = _cluster(self._url)
                else:
                    self._table.nodes_manager.initialize()
            self._is_stale = False
        except (RedisClusterException, TypeError, ValueError, LookupError) as e:  # redis-py trusts the table's form
            self._table = None  # begin again with the addresses of the URL
            raise RedisConnectionError("no node of the Cluster answers") from e
        except gevent.Timeout as e:
            self._table = None
            raise RedisTimeoutError("no node of the Cluster answers in time") from e
        finally:
            self._looked = time.monotonic()


def _connection(make: Callable[[], Connection]) -> NodeConnection:
    return SharedConnection(make) if _is_patched() else BlockingConnection(make)


def _is_patched() -> bool:
    return bool(monkey.is_module_patched("socket"))


def _timeouts() -> dict[str, float | None]:
    """Of a socket. Where gevent has patched it, the reader waits as long as it takes, and others watch over replies."""
    return {"socket_connect_timeout": OPENING, "socket_timeout": None if _is_patched() else SILENCE}


def _pool(url: RedisUrl, **options: Any) -> ConnectionPool:
    """redis-py's pool of connections, with `options`, to the one server of `url` or the primary that Sentinels name."""
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


def _maker(pool: Any) -> Callable[[], Connection]:
    """Makes connections as `pool` would, which counts each one that it ever made, and refuses the 101st."""
    return lambda: cast(Connection, pool.connection_class(**pool.connection_kwargs))


def _primary(url: RedisUrl, **options: Any) -> Redis:
    tls = {"ssl": url.tls, **url.tls_options}
    asked = {"socket_connect_timeout": ASKED, "socket_timeout": ASKED, "retry": _no_retry(), "protocol": 2}
    asked |= {"redis_connect_func": _open_pooled, **tls, **url.sentinel_credentials}
    sentinels = Sentinel(url.hosts, sentinel_kwargs=asked)
    options = {**_OPTIONS, **_TCP, **options, **url.options, **tls}
    primary: Redis = sentinels.master_for(url.name, retry=_no_retry(), **options)
    return primary


def _cluster(url: RedisUrl) -> RedisCluster:
    options = {**_OPTIONS, **url.options, "socket_connect_timeout": ASKED, "socket_timeout": ASKED}
    options.pop("db", None)  # 0, and redis-py does not want to hear it
    by_name = partial(_by_name, url.hosts[0][0])
    nodes = [ClusterNode(*by_name(host)) for host in url.hosts]
    options |= {"ssl": url.tls, "address_remap": by_name, "redis_connect_func": _open_clustered}
    return RedisCluster(startup_nodes=nodes, retry=_no_retry(), **options)


def _by_name(usual: str, address: tuple[str | None, int]) -> tuple[str, int]:
    """The same host, or the `usual` one where the Cluster names none, by a name that redis-py keeps.

    `localhost` it looks up, and a certificate is of a name.
    """
    host, port = address
    name = host or usual
    return "LOCALHOST" if name == "localhost" else name, port


def blocking_client(url: str) -> Redis | RedisCluster:
    """redis-py's own client of the same servers."""
    parsed = parse(url)
    if parsed.kind == "cluster":
        return _cluster(parsed)
    options = {"socket_connect_timeout": OPENING, "socket_timeout": SILENCE, "redis_connect_func": _open_pooled}
    return Redis(connection_pool=_pool(parsed, **options))


def _open_pooled(connection: Connection) -> None:
    """What redis-py does with a new connection, and `_fetch_tickets`."""
    connection.on_connect()
    _fetch_tickets(connection)


def _open_clustered(connection: Connection) -> None:
    """`_fetch_tickets`, and have a host that the Cluster does not name read as "": redis-py fails at the None of one
    that has all slots, and takes the empty one for the node that it has asked.
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
    """Have the session tickets of TLS 1.3 come along with a reply: redis-py's pools would take them for one."""
    if isinstance(connection, SSLConnection):
        connection.send_command("PING", check_health=False)
        connection.read_response()


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)
