"""By which names the sandbox is called.

Who knows a PIN reads it here, so a page of the internet must not: it could have its own name point to this machine (DNS
rebinding), and be let in by the browser as the same origin. Its name is still what stands in `Host`.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address

from sandbox.api_error import ApiError

EVERYWHERE = ("0.0.0.0", "::")
COMPOSE_NAME = "infobip"  # of the service in docker-compose.yml


def address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Where the sandbox listens, by SANDBOX_HOST and SANDBOX_PORT; what is empty is not set.

    Raises:
        ValueError: SANDBOX_PORT is no port.
    """
    port = environment.get("SANDBOX_PORT") or "3001"
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 2**16:
        raise ValueError("SANDBOX_PORT: must be from 1 to 65535")
    return environment.get("SANDBOX_HOST") or "127.0.0.1", int(port)


def reached(bind: str) -> str:
    """Where this machine finds what listens on the address `bind`, as it stands in a URL."""
    if bind in EVERYWHERE:
        return "127.0.0.1"
    return f"[{bind}]" if ":" in bind else bind


def names(environment: Mapping[str, str]) -> frozenset[str]:
    """The names beside those of this machine: SANDBOX_NAMES, and where it listens elsewhere, its address.

    Without SANDBOX_NAMES, one that listens elsewhere also has its name in docker-compose.yml.
    """
    bind, _ = address(environment)
    elsewhere = not _is_local(bind)
    given = environment.get("SANDBOX_NAMES") or (COMPOSE_NAME if elsewhere else "")
    listed = {name.strip().lower() for name in (*given.split(","), bind)}
    return frozenset(listed.difference(EVERYWHERE, {""}))


def check(host: str, names: frozenset[str]) -> None:
    """Let a request with this Host header pass.

    Raises:
        ApiError: 403, it names neither this machine nor one of `names`.
    """
    written = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", host.lower())
    name = written[1].strip("[]").removesuffix(".") if written else ""
    if not _is_local(name) and name not in names:
        raise ApiError(403, "FORBIDDEN", "The sandbox answers to localhost and to SANDBOX_NAMES alone")


def _is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
