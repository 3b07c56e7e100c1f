"""What only operators ask Redis, with redis-py's own clients. These block: only for commands at the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisCluster, RedisError, ResponseError
from redis.exceptions import RedisClusterException

from otp.errors import StoreUnavailable
from otp.redis.scripts import add_prefix

SCAN_COUNT = 1000  # keys that one SCAN looks at
_SECTIONS = ("memory", "persistence")


class CommandRefused(Exception):  # noqa: N818  named like all errors of the service
    """Redis does not let this user run the command."""


class Administration:
    """Looks at all servers of one client. Every method raises StoreUnavailable where Redis fails."""

    def __init__(self, client: Redis | RedisCluster, prefix: str) -> None:
        self._client = client
        self._prefix = prefix  # has no character that is special in a pattern

    def keys(self, pattern: str = "*") -> Iterator[str]:
        """Find the keys of all primaries that have the prefix and match; without the prefix, in no order."""
        with _failures():
            for key in self._client.scan_iter(match=add_prefix(self._prefix, pattern), count=SCAN_COUNT):
                yield key.replace(self._prefix, "", 1)

    def servers(self) -> list[dict[str, Any]]:
        """Ask each primary for the sections of INFO on memory and persistence.

        Raises:
            CommandRefused: the user of REDIS_URL may not run INFO.
        """
        with _failures():
            primaries = [] if isinstance(self._client, Redis) else self._client.get_primaries()
            one_by_one = [{"target_nodes": primary} for primary in primaries] or [{}]
            return [
                {name: value for section in _SECTIONS for name, value in self._client.info(section, **which).items()}
                for which in one_by_one
            ]


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except ResponseError as e:
        raise CommandRefused from e
    except (RedisError, RedisClusterException, OSError, UnicodeError) as e:
        raise StoreUnavailable(retry_after=1) from e
