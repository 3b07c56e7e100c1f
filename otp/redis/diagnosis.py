"""Says in words why Redis does not serve: for operators, at the terminal and at a start."""

import re
import ssl
from collections.abc import Iterable, Iterator
from itertools import takewhile
from socket import gaierror
from typing import NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError

from otp.redis.failures import FAILURES
from otp.redis.nodes import LOAD_FAILURES, ping


class Diagnosis(NamedTuple):
    """What is wrong, as a sentence with "It" for Redis, and what an operator can do about it."""

    sentence: str
    remedy: str


_PASSWORD = "see the user and the password in REDIS_URL"
_CLUSTER = "let REDIS_URL begin with redis+cluster, or rediss+cluster for TLS"
_PRIMARY = "name the primary in REDIS_URL, or the Sentinels, which know it"
_SERVER = "look at its log"
_SCHEME = "let REDIS_URL begin with rediss if it speaks TLS at this port, and with redis if it does not"
_PLACE = "see the host and the port in REDIS_URL"

# By the first word of an error that Redis replies.
_CODES = {
    "NOAUTH": ("it wants a password, and REDIS_URL has none", _PASSWORD),
    "WRONGPASS": ("it does not accept the user and the password of REDIS_URL", _PASSWORD),
    "NOPERM": ("the user of REDIS_URL lacks permissions", "flask infobip check names them"),
    "DENIED": (
        "it is in protected mode, which refuses other machines while Redis has no password",
        "give it a password (requirepass), and REDIS_URL the same",
    ),
    "LOADING": ("it still loads its data", "wait"),
    "MOVED": ("it is a node of a Cluster", _CLUSTER),
    "ASK": ("it is a node of a Cluster", _CLUSTER),
    "CROSSSLOT": ("it is a node of a Cluster", _CLUSTER),
    "CLUSTERDOWN": ("its Cluster lacks the node for some of the keys", "look at CLUSTER INFO"),
    "READONLY": ("it is a replica, which takes no writes", _PRIMARY),
    "MASTERDOWN": ("it is a replica that has lost its primary", _PRIMARY),
    "OOM": ("its memory is full", "raise its maxmemory"),
    "MISCONF": ("it cannot save its data, and takes no writes", _SERVER),
    "NOREPLICAS": ("it has fewer replicas than min-replicas-to-write", _SERVER),
    "BUSY": ("it runs a script that does not end", _SERVER),
}
# By how an error without a code of its own (ERR) begins.
_ERRORS = {
    "max number of clients reached": (
        "It has as many clients as its maxclients allows",
        "raise maxclients, or end some clients",
    ),
    "This instance has cluster support disabled": (
        "It is not a node of a Cluster",
        "let REDIS_URL begin with redis, or rediss for TLS",
    ),
    "SELECT is not allowed in cluster mode": ("It is a node of a Cluster", _CLUSTER),
    "AUTH <password> called without any password": ("It has no password, and REDIS_URL has one", _PASSWORD),
    "Client sent AUTH, but no password is set": ("It has no password, and REDIS_URL has one", _PASSWORD),
    "invalid password": ("It does not accept the password of REDIS_URL", _PASSWORD),
    "DB index is out of range": ("It has no database of this number", "see the end of REDIS_URL"),
    "unknown command 'SENTINEL'": ("It is not a Sentinel", "see the hosts in REDIS_URL"),
    "unknown command": (
        "It does not know a command, or has another name for it",
        '"Deploy" in the documentation has those of the service',
    ),
}
# Everything else, by its type; the first row that fits.
_TYPES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str], ...] = (
    (ssl.SSLCertVerificationError, "Its certificate is not accepted", "see the host and the CA in REDIS_URL"),
    (ssl.SSLError, "It does not speak TLS, or does not accept this client's certificate", _SCHEME),
    (gaierror, "Its host name is not known", "see the host in REDIS_URL"),
    (ConnectionRefusedError, "Nothing listens there", _PLACE),
    (FileNotFoundError, "There is no such socket", "see the path in REDIS_URL"),
    (PermissionError, "This user may not open its socket", "see the rights of the socket"),
    (
        MasterNotFoundError,
        "No Sentinel names a primary",
        "see the hosts, the service and the password of the Sentinels in REDIS_URL",
    ),
    (UnicodeError, "It has a key or a value that is not UTF-8", "let no other program write under KEY_PREFIX"),
    (InvalidResponse, "What answers does not speak Redis's protocol", _SCHEME),
    ((RedisTimeoutError, TimeoutError), "It does not answer in time", f"{_PLACE}, and {_SCHEME}"),
    ((RedisConnectionError, OSError), "It cannot be reached, or closes the connection", f"{_PLACE}, and {_SCHEME}"),
)
_OTHER = Diagnosis("It answers with errors.", _SERVER)


def diagnose(url: str, failure: BaseException) -> Diagnosis:
    """Say why the service's commands failed.

    Redis says more to a PING on a new connection than to them: where it wants a password or is in protected mode, it
    closes the connection before they are read.

    Args:
        url: as `url.parse` accepts it.
        failure: what the commands raised. It counts where Redis answers the PING.
    """
    # `failure` is being handled: Python makes it the context of what the PING raises, and so the end of its chain.
    asked = [*takewhile(lambda each: each is not failure, _chain(_ping(url)))]
    return _diagnosis(asked or _chain(failure))


def diagnose_connection(url: str) -> Diagnosis | None:
    """Say why Redis does not answer a PING on a new connection; None if it does."""
    failure = _ping(url)
    return _diagnosis(_chain(failure)) if failure else None


def _ping(url: str) -> BaseException | None:
    try:
        ping(url)
    except (*FAILURES, *LOAD_FAILURES) as e:
        return e
    return None


def _diagnosis(failures: Iterable[BaseException]) -> Diagnosis:
    return next(filter(None, map(_explain, reversed([*failures]))), _OTHER)


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    """The failure, what caused it, and so on."""
    while failure:
        yield failure
        failure = failure.__cause__ or failure.__context__


def _explain(failure: BaseException) -> Diagnosis | None:
    """Quotes nothing of what Redis replied but its code: a reply may repeat the password."""
    text = str(failure)
    for beginning, (sentence, remedy) in _ERRORS.items():
        if text.startswith(beginning):
            return Diagnosis(f"{sentence}.", remedy)
    if code := _code(failure):
        sentence, remedy = _CODES.get(code, ("", _SERVER))
        return Diagnosis(f"It answers {code}: {sentence}." if sentence else f"It answers {code}.", remedy)
    return next((Diagnosis(f"{said}.", remedy) for kind, said, remedy in _TYPES if isinstance(failure, kind)), None)


def _code(failure: BaseException) -> str:
    """The first word of an error that Redis replied, if `failure` is one."""
    if not isinstance(failure, RedisError):
        return ""
    code = re.match("[A-Z]{3,20}(?= |$)", failure.status_code or str(failure))
    return code[0] if code else ""
