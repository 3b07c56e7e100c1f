"""What only operators ask Redis: to find keys, and how its servers are set."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import ResponseError
from redis.exceptions import NoPermissionError

from otp.errors import StoreUnavailable
from otp.redis.failures import FAILURES
from otp.redis.nodes import REPLY_TIMEOUT, NodeConnection, Nodes
from otp.redis.scripts import add_prefix, pack

SCAN_COUNT = 1000  # keys that one SCAN looks at
_SECTIONS = ("memory", "persistence")


class CommandRefused(Exception):  # noqa: N818  named like all errors of the service
    """Redis does not run the command: the user may not run it (`is_denied`), or it has another name there."""

    def __init__(self, *, is_denied: bool) -> None:
        super().__init__()
        self.is_denied = is_denied


class Administration:
    """Looks at all servers. Every method raises StoreUnavailable where Redis fails, CommandRefused where it refuses."""

    def __init__(self, nodes: Nodes, prefix: str) -> None:
        self._nodes = nodes
        self._prefix = prefix  # has no character that is special in a pattern

    def keys(self, pattern: str = "*") -> Iterator[str]:
        """Find the keys of all primaries that have the prefix and match; without the prefix, in no order."""
        match = add_prefix(self._prefix, pattern)
        with _failures():
            for primary in self._nodes.primaries():
                cursor = "0"
                while True:
                    cursor, found = _ask(primary, "SCAN", cursor, "MATCH", match, "COUNT", SCAN_COUNT)
                    yield from (key.replace(self._prefix, "", 1) for key in found)
                    if cursor == "0":
                        break

    def servers(self) -> list[dict[str, str]]:
        """Ask each primary for the sections of INFO on memory and persistence; the values are as Redis writes them."""
        with _failures():
            infos = [
                "\n".join(_ask(primary, "INFO", section) for section in _SECTIONS)
                for primary in self._nodes.primaries()
            ]
        return [dict(line.split(":", 1) for line in info.splitlines() if ":" in line) for info in infos]


def _ask(primary: NodeConnection, *command: str | int) -> Any:
    (reply,) = primary.submit(pack(command), 1, REPLY_TIMEOUT).wait()
    if isinstance(reply, Exception):
        raise reply
    return reply


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except ResponseError as e:
        raise CommandRefused(is_denied=isinstance(e, NoPermissionError)) from e
    except FAILURES as e:
        raise StoreUnavailable(retry_after=1) from e
