"""The host names that the sandbox answers to.

The sandbox shows PINs, so pages of the internet must not read it. By DNS rebinding, such a page could let its own name
point to this machine, and the browser would treat both as one origin. The `Host` header still has the page's name.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address

from sandbox.api_error import ApiError

EVERYWHERE = ("0.0.0.0", "::")
COMPOSE_NAME = "infobip"  # of the service in docker-compose.yml


def address(environment: Mapping[str, str]) -> tuple[str, int]:
    """The address and port to listen on, from SANDBOX_HOST and SANDBOX_PORT. Empty values are as if not set.

    Raises:
        ValueError: SANDBOX_PORT is not a port.
    """
    port = environment.get("SANDBOX_PORT") or "3001"
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 2**16:
        raise ValueError("SANDBOX_PORT: must be from 1 to 65535")
    return environment.get("SANDBOX_HOST") or "127.0.0.1", int(port)


def local_address(bind: str) -> str:
    """The host for a URL by which this machine reaches a server that listens on `bind`."""
    if bind in EVERYWHERE:
        return "127.0.0.1"
    return f"[{bind}]" if ":" in bind else bind


def names(environment: Mapping[str, str]) -> frozenset[str]:
    """The accepted names in addition to localhost: SANDBOX_NAMES, and the address it listens on if that is not local.

    Without SANDBOX_NAMES, a sandbox that is not local also answers to its name in docker-compose.yml.
    """
    bind, _ = address(environment)
    given = environment.get("SANDBOX_NAMES") or ("" if _is_local(bind) else COMPOSE_NAME)
    listed = {name.strip().lower() for name in (*given.split(","), bind)}
    return frozenset(listed.difference(EVERYWHERE, {""}))


def check(host: str, names: frozenset[str]) -> None:
    """Check the Host header of a request.

    Raises:
        ApiError: 403 if it names neither this machine nor one of `names`.
    """
    written = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", host.lower())
    name = written[1].strip("[]").removesuffix(".") if written else ""
    if not _is_local(name) and name not in names:
        raise ApiError(403, "FORBIDDEN", "The sandbox answers only to localhost and SANDBOX_NAMES")


def _is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
