"""What comes in from outside, hostile until it has passed here: the JSON body and the client's address."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from flask import Request, g
from gevent import Timeout
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from errors import InvalidRequest, RequestTooLarge, UnsupportedMediaType
from otp.web.strict_json import parse

MAX_BODY = 16 * 1024
PATIENCE = 5  # seconds for a whole body; as many as gunicorn gives the head


class Body(BaseModel):
    """A request body: camelCase members, of exactly the declared types; members it does not know are ignored."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel)


_B = TypeVar("_B", bound=Body)


def read_body(request: Request, model: type[_B], longest: int = MAX_BODY) -> _B:
    """Parse the JSON body of `request`, UTF-8 of at most `longest` bytes, into `model`.

    Raises:
        UnsupportedMediaType: not JSON by its Content-Type, or compressed.
        RequestTooLarge: over the limit, whether it says so or comes in chunks.
        InvalidRequest: not strict JSON (RFC 8259, unique keys, 64 levels), or not what `model` declares.
    """
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType
    try:
        return model.model_validate(parse(content(request, longest)))
    except ValueError as e:  # pydantic's is one too
        raise InvalidRequest from e


def content(request: Request, longest: int = MAX_BODY) -> bytes:
    """The body of `request`, read once. Raises RequestTooLarge and InvalidRequest like `read_body`."""
    if "content" not in g:
        g.content = _read(request, longest)
    return bytes(g.content)


def _read(request: Request, longest: int) -> bytes:
    # Flask's MAX_CONTENT_LENGTH would cut a chunked body off instead of refusing it.
    if (request.content_length or 0) > longest:
        raise RequestTooLarge
    try:
        with Timeout(PATIENCE):
            received = request.stream.read(longest + 1)
    except (Timeout, Exception) as e:  # broken chunks, a client that went away: every server has its own words
        raise InvalidRequest from e
    if len(received) > longest:
        raise RequestTooLarge
    return received


def client_address(request: Request, trusted_proxies: int) -> str:
    """Whom an address limit counts: an IPv4 address or an IPv6 /64, never empty.

    The last `trusted_proxies` entries of X-Forwarded-For were written by proxies of ours, so the first of
    them is the client. Everything before is whatever the client wants to say, and is not believed.
    """
    entries = request.headers.get("X-Forwarded-For", "").split(",")
    written = entries[-trusted_proxies] if 0 < trusted_proxies <= len(entries) else ""
    address = _ip(written) or _ip(request.remote_addr or "")
    return counted_as(address) if address else "None"  # over a Unix socket without a proxy: everybody shares one limit


def counted_as(address: IPv4Address | IPv6Address) -> str:
    """What the limits count: an IPv4 address itself, an IPv6 one by its /64."""
    return f"{IPv6Address(int(address) >> 64 << 64)}/64" if isinstance(address, IPv6Address) else str(address)


def read_address(text: str) -> IPv4Address | IPv6Address:
    """Read an IP address and nothing else; a v4 address that is written as v6 is that v4 one.

    Raises:
        ValueError: it is none.
    """
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4096)
def _ip(written: str) -> IPv4Address | IPv6Address | None:
    """Read an address, which some proxies write with a port; a v4 address that is written as v6 is that v4 one."""
    text = written.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return read_address(text)
    except ValueError:
        return None
