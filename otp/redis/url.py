"""Reads REDIS_URL: a single server, a set of Sentinels or a Cluster. Everything else is refused.

redis://[[user]:password@]host[:port][/db]      unix://[[user]:password@]/path/to/socket
redis+sentinel://[[user]:password@]host:port[,host:port...]/service
redis+cluster://[[user]:password@]host:port[,host:port...]

`rediss` for `redis` means TLS. Options follow as `?name=value&name=value`: see `url_options`. Characters with a special
meaning in URLs (RFC 3986) are percent-encoded.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from otp.redis.url_options import Options, known_options, read_options, try_certificates

Kind = Literal["server", "socket", "sentinel", "cluster"]


class _Scheme(NamedTuple):
    kind: Kind
    tls: bool = False


SCHEMES = {
    "redis": _Scheme("server"),
    "rediss": _Scheme("server", tls=True),
    "unix": _Scheme("socket"),
    "redis+sentinel": _Scheme("sentinel"),
    "rediss+sentinel": _Scheme("sentinel", tls=True),
    "redis+cluster": _Scheme("cluster"),
    "rediss+cluster": _Scheme("cluster", tls=True),
}
_DEFAULT_PORT = 6379

_FORM = re.compile(r"[a-z+]+://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?")
_LOCATION = re.compile(r"(?P<host>\[[^\[\]]+\]|[^\[\]:@]+)(?::(?P<port>[0-9]{0,5}))?")
_NOT_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})|[\s\x00-\x1f\x7f]|#")
_ENCODE = "percent-encode / ? # % , and blanks in a password (%2F %3F %23 %25 %2C %20)"


@dataclass(frozen=True)
class RedisUrl:
    """The parts of the URL.

    Args:
        hosts: the servers and their ports; empty for a socket.
        name: the path of the socket, or the Sentinels' name of the primary.
        options: arguments of redis-py's Connection to each Redis server, those of TLS too.
        sentinel_credentials: user and password of the Sentinels themselves.
    """

    kind: Kind
    tls: bool
    hosts: list[tuple[str, int]]
    name: str
    options: Options
    sentinel_credentials: Options

    def __repr__(self) -> str:
        """Shows no password."""
        return f"RedisUrl({self.kind})"

    @property
    def tls_options(self) -> Options:
        """Those of the options that TLS has."""
        return {name: value for name, value in self.options.items() if name.startswith("ssl_")}


def parse(url: str) -> RedisUrl:
    """Read `url`, and the files of certificates that it names. Opens no connection.

    Raises:
        ValueError: it has none of the forms above. The message shows no part of it, for it may hold a password.
    """
    scheme = SCHEMES.get(url.partition("://")[0])
    if scheme is None:
        raise ValueError(f"must start with one of {', '.join(s + '://' for s in SCHEMES)}")
    form = _FORM.fullmatch(url)
    if form is None or _NOT_ENCODED.search(url):
        raise ValueError(f"must have no blank, end of line, # or lone % in it; {_ENCODE}")
    path, query = form["path"] or "", form["query"] or ""
    # If an @ follows, the supposed server may be the beginning of a password.
    with _hint(_ENCODE if "@" in query or ("@" in path and scheme.kind != "socket") else ""):
        return _read(scheme, form["authority"], path, query)


@contextmanager
def _hint(hint: str) -> Iterator[None]:
    try:
        yield
    except ValueError as e:
        said = "must be UTF-8 where it is percent-encoded" if isinstance(e, UnicodeError) else str(e)
        raise ValueError(f"{said}; {hint}" if hint not in said else said) from None


def _read(scheme: _Scheme, authority: str, path: str, query: str) -> RedisUrl:
    written, _, locations = authority.rpartition("@")
    given = parse_qsl(query, keep_blank_values=True, errors="strict")
    options = read_options(given, known_options(scheme.kind, tls=scheme.tls))
    try_certificates(options)
    sentinel = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    options = _merge(_credentials(written, scheme.kind), options, "user and password")
    if "username" in options and "password" not in options:
        raise ValueError("must give a password with its user, as user:password@, or :password@ without a user")
    hosts = _hosts(locations, scheme.kind)
    name, database = _path(path, scheme.kind)
    options = _merge(database, options, "the database")
    return RedisUrl(scheme.kind, scheme.tls, hosts, name, options, {n: v for n, v in sentinel.items() if v})


def _merge(of_url: Options, options: Options, what: str) -> Options:
    if any(options.get(name, value) != value for name, value in of_url.items()):
        raise ValueError(f"must give {what} once")
    return {**of_url, **options}


def _credentials(written: str, kind: Kind) -> Options:
    if "," in written and kind in ("sentinel", "cluster"):
        raise ValueError(f"must give user and password once, before the first server; {_ENCODE}")
    user, _, password = written.partition(":")
    given = {"username": unquote(user, errors="strict"), "password": unquote(password, errors="strict")}
    return {name: value for name, value in given.items() if value}


def _hosts(locations: str, kind: Kind) -> list[tuple[str, int]]:
    if kind == "socket":
        if locations:
            raise ValueError(f"must give the path of the socket, as unix:///path; {_ENCODE}")
        return []
    if kind == "server":
        return [_host(locations, _DEFAULT_PORT)]
    return [_host(location, None) for location in locations.split(",")]


def _host(location: str, default_port: int | None) -> tuple[str, int]:
    found = _LOCATION.fullmatch(location)
    port = int(found["port"]) if found and found["port"] else default_port
    if not found or not port or port > 65535:
        wanted = "host or host:port" if default_port else "host:port for every server"
        raise ValueError(f"must give {wanted}, with a port from 1 to 65535; {_ENCODE}")
    return _host_name(unquote(found["host"], errors="strict").lower()), port


def _host_name(written: str) -> str:
    if not written.startswith("["):
        if not re.fullmatch(r"[\w.-]+", written):
            raise ValueError(f"must give a host name or an IP address; {_ENCODE}")
        return written
    with suppress(ValueError):
        return str(IPv6Address(written[1:-1]))
    raise ValueError("must have an IPv6 address in its brackets")


def _path(path: str, kind: Kind) -> tuple[str, Options]:
    """The name in the path, and the database."""
    if kind == "socket":
        return _socket(path), {}
    said = unquote(path, errors="strict").removeprefix("/").removesuffix("/")
    if kind == "sentinel":
        return _service(said), {}
    if said and not re.fullmatch("0" if kind == "cluster" else "[0-9]{1,9}", said):
        wanted = "no database but 0, for a Cluster has no other" if kind == "cluster" else "a number as its database"
        raise ValueError(f"must have {wanted}, as in //host:6379/0")
    return "", {"db": int(said)} if said and kind == "server" else {}


def _socket(path: str) -> str:
    if len(path) < 2:
        raise ValueError("must give the path of the socket, as unix:///path")
    return unquote(path, errors="strict")


def _service(name: str) -> str:
    if not name or "/" in name:
        raise ValueError("must name the Sentinel service, as in redis+sentinel://host:port/service?db=0")
    return name
