"""The options after the `?` of REDIS_URL, and their types. They have redis-py's names, wherever it has one."""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from redis.connection import parse_ssl_verify_flags

Options = dict[str, Any]
Read = Callable[[str], Any]  # raises an OSError, or a ValueError that says what is wanted

_SWITCHES = {"0": False, "f": False, "false": False, "n": False, "no": False}
_SWITCHES |= {"1": True, "t": True, "true": True, "y": True, "yes": True}


def _whole(text: str, least: int = 0, most: int = 2**31 - 1) -> int:
    if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise ValueError(f"a whole number from {least} to {most}")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or float(text) == 0:
        raise ValueError("a number of seconds")
    return float(text)


def _client_name(text: str) -> str:
    if not re.fullmatch("[!-~]+", text):  # Redis accepts no other characters
        raise ValueError("a word in ASCII")
    return text


def _one_of(values: Options, text: str) -> Any:
    if text not in values:
        raise ValueError(f"one of {', '.join(values)}")
    return values[text]


def _switch(text: str) -> bool:
    return bool(_one_of(_SWITCHES, text.lower()))


def _file(text: str) -> str:
    with Path(text).open("rb"):
        return text


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise ValueError("a folder")
    return text


def _verify_flags(text: str) -> Any:
    try:
        return parse_ssl_verify_flags(text)
    except ValueError as e:
        raise ValueError("names of ssl.VerifyFlags") from e


_OF_ALL: dict[str, Read] = {
    "client_name": _client_name,
    "socket_read_size": partial(_whole, least=1, most=2**24),  # bytes: 0 reads nothing, and more takes too much memory
}
# redis-py accepts them in a URL. Here they change nothing: there is no pool, redis-py retries nothing, and the service
# has deadlines of its own. It reads the replies of RESP2, where HGETALL returns a list.
_WITHOUT_EFFECT: dict[str, Read] = {
    "health_check_interval": _whole,
    "max_connections": _whole,
    "protocol": partial(_one_of, {"2": 2, "3": 3}),
    "retry_on_timeout": _switch,
    "socket_connect_timeout": _seconds,
    "socket_timeout": _seconds,
}
_OF_TCP: dict[str, Read] = {"socket_keepalive": _switch}
OF_TLS: dict[str, Read] = {
    "ssl_ca_certs": _file,
    "ssl_ca_data": str,
    "ssl_ca_path": _folder,
    "ssl_cert_reqs": partial(_one_of, {name: name for name in ("none", "optional", "required")}),
    "ssl_certfile": _file,
    "ssl_check_hostname": _switch,
    "ssl_ciphers": str,
    "ssl_exclude_verify_flags": _verify_flags,
    "ssl_include_verify_flags": _verify_flags,
    "ssl_keyfile": _file,
    "ssl_min_version": partial(_one_of, {"771": ssl.TLSVersion.TLSv1_2, "772": ssl.TLSVersion.TLSv1_3}),
    "ssl_password": str,
}
_OF_ONE: dict[str, Read] = {"db": _whole, "username": str, "password": str}
_OF_KIND: dict[str, dict[str, Read]] = {
    "server": {**_OF_ONE, **_OF_TCP},
    "socket": _OF_ONE,
    "sentinel": {"db": _whole, "sentinel_username": str, "sentinel_password": str, **_OF_TCP},
    "cluster": {"db": partial(_whole, most=0), **_OF_TCP},  # a Cluster has no other database
}
# redis-py's client of a Cluster does not accept these.
_NOT_OF_CLUSTER = {"ssl_ciphers", "ssl_min_version"}


def known_options(kind: str, *, tls: bool) -> dict[str, Read]:
    """The options that a URL of this `kind` (see `url.Kind`) may have."""
    known = {**_OF_ALL, **_WITHOUT_EFFECT, **_OF_KIND[kind], **(OF_TLS if tls else {})}
    return {name: read for name, read in known.items() if kind != "cluster" or name not in _NOT_OF_CLUSTER}


def read_options(given: list[tuple[str, str]], known: dict[str, Read]) -> Options:
    """Convert the options to their types; leaves out those that have no effect.

    Raises:
        ValueError: an option is unknown, invalid, or given twice. The message shows no value.
    """
    options: Options = {}
    for name, value in given:
        if name not in known:
            raise ValueError(_unknown(name, known))
        if name in options or not value:
            raise ValueError(f"must give the option {name} once, and a value with it")
        options[name] = _read(known[name], name, value)
    return {name: value for name, value in options.items() if name not in _WITHOUT_EFFECT}


def _unknown(name: str, known: dict[str, Read]) -> str:
    """Show only names that are known: another one may be the rest of a password."""
    if name in OF_TLS and name not in _NOT_OF_CLUSTER:
        return f"must start with rediss for the option {name}, which is one of TLS"
    return f"must have no options other than {', '.join(sorted(known))}"


def _read(read: Read, name: str, value: str) -> Any:
    try:
        return read(value)
    except OSError as e:
        raise ValueError(f"must give the option {name} as a file that can be read") from e
    except ValueError as e:
        raise ValueError(f"must give the option {name} as {e}") from e


def try_certificates(options: Options) -> None:
    """Load the certificates, the key and the ciphers of `options`, as each connection will.

    Raises:
        ValueError: they are invalid, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with _explain("certificates in PEM in ssl_ca_certs, ssl_ca_path or ssl_ca_data"):
        authorities = [options.get(f"ssl_ca_{name}") for name in ("certs", "path", "data")]
        if any(authorities):
            context.load_verify_locations(*authorities)
    with _explain("a certificate in PEM in ssl_certfile, and its key there or in ssl_keyfile, with its ssl_password"):
        if "ssl_certfile" in options or "ssl_keyfile" in options:
            # An empty password at least: OpenSSL would ask for one at the terminal.
            certificate = options.get("ssl_certfile", ""), options.get("ssl_keyfile")
            context.load_cert_chain(*certificate, options.get("ssl_password", ""))
    with _explain("ssl_ciphers as OpenSSL writes them"):
        context.set_ciphers(options.get("ssl_ciphers", "DEFAULT"))


@contextmanager
def _explain(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as e:
        raise ValueError(f"must give {what}") from e
