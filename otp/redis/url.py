"""Where Redis is: one URL for a single server, a Sentinel set or a Cluster.

redis://[user:password@]host[:port][/db]      rediss:// for TLS      unix:///path/to/socket
redis+sentinel://[user:password@]host:port[,host:port...]/service[?db=n]
redis+cluster://[user:password@]host:port[,host:port...]
"""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis.connection import parse_url

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")


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
            hosts(url)
        else:
            parse_url(url)
    except ValueError as e:
        raise ValueError(f"must be a URL like {scheme}://host:port") from e
    if scheme == "redis+sentinel" and not service(url):
        raise ValueError("must name the Sentinel service: redis+sentinel://host:port/service")
    return url


def hosts(url: str) -> list[tuple[str, int]]:
    """The servers that a Sentinel's or a Cluster's URL lists.

    Raises:
        ValueError: one of them lacks its host or its port.
    """
    locations = urlsplit(url).netloc.rpartition("@")[2].split(",")
    each = [urlsplit(f"//{location}") for location in locations]
    if not all(one.hostname and one.port for one in each):
        raise ValueError("must give host:port for every server")
    return [(str(one.hostname), int(one.port or 0)) for one in each]


def service(url: str) -> str:
    """The name of the primary that Sentinels watch."""
    return urlsplit(url).path.strip("/")


def database(url: str) -> int:
    """The number of the database in a Sentinel's URL."""
    return int(parse_qs(urlsplit(url).query).get("db", ["0"])[0])


def credentials(url: str) -> dict[str, Any]:
    """`username` and `password`, where the URL has them."""
    user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}
