"""Secrets must not leak: the tests search every log of the service, every response to a test, and Redis for them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import redis
import requests

SETTINGS = (
    "INFOBIP_API_KEY",
    "API_KEYS",
    "PROOF_SIGNING_KEY",
    "PROOF_OLD_KEYS",
    "ALERT_WEBHOOK_SECRET",
    "CHALLENGE_SECRET",
    "DELIVERY_REPORTS_SECRET",
    "REDIS_URL",
    "INFOBIP_PROXY",
)
MAIL = "e-mail address"
HEADERS = ("Authorization", "Idempotency-Key")

_WORD = re.compile("[0-9A-Za-z_-]+(?:[.][0-9A-Za-z_-]+)*")  # a time with its microseconds is one word
_PIN_ID = re.compile(
    "[0-9A-F]{32}"
)  # as the sandbox and the scripted Infobip write them; ids of requests are lower case
_PHONE = re.compile("[1-9][0-9]{9,14}")
_PROCESS = re.compile(r"\[[0-9]+\]|pid: ?[0-9]+|[0-9]+/[0-9]+[a-z]+")  # also a rate, like 1440010000/1d

_FILE = re.compile("/[^@?&]*/pytest-of[^?&]*")  # a test's file, which REDIS_URL and other settings may name

_READ: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "string": lambda key: ("GET", key),
    "list": lambda key: ("LRANGE", key, 0, -1),
    "hash": lambda key: ("HGETALL", key),
}
_secrets: dict[str, str] = {}  # each secret that a test has sent to a service, and its kind


def note_settings(settings: Mapping[str, str]) -> None:
    """Remember the secrets of a service's settings."""
    given = {name: _FILE.sub("", settings.get(name, "")) for name in SETTINGS}
    _secrets.update({word: name for name in SETTINGS for word in _long(given[name])})


def note_request(headers: Mapping[str, str], json: Any) -> dict[str, str]:
    """Remember the secrets of a request, and return them."""
    body = json if isinstance(json, dict) else {}
    secrets = {re.sub("[^0-9]", "", str(body.get("phoneNumber"))): "phone", str(body.get("pin")): "PIN"}
    secrets = {word: kind for word, kind in secrets.items() if re.fullmatch("[0-9]{6,15}", word)}
    local = str(body.get("email")).rpartition("@")[0]
    secrets |= {local: MAIL} if re.fullmatch("[a-z0-9]{8,}", local) else {}
    members = ((name, body.get(name)) for name in ("proof", "challenge"))
    for kind, text in (*members, *((name, headers.get(name)) for name in HEADERS)):
        secrets.update(dict.fromkeys(_long(str(text)), kind))
    _secrets.update(secrets)
    return secrets


def note_response(response: requests.Response) -> None:
    """Remember the verification id of a response, which must be known only to the requester."""
    if response.headers.get("Content-Type") == "application/json" and isinstance(response.json(), dict):
        _secrets.update(dict.fromkeys(_long(str(response.json().get("verificationId"))), "verification id"))


def in_answer(response: requests.Response, secrets: Mapping[str, str]) -> list[str]:
    """Return the secrets that a response repeats."""
    words = _words(f"{response.headers} {response.text}")
    return [kind for word, kind in secrets.items() if word in words] + _pin_ids(words)


def in_log(text: str) -> list[str]:
    """Return the secrets in a log."""
    words = _words(_PROCESS.sub("", text))
    phones = [f"phone {word}" for word in words if _PHONE.fullmatch(word)]
    return [f"{_secrets[word]} {word}" for word in words & _secrets.keys()] + _pin_ids(words) + phones


def in_redis(client: redis.Redis) -> list[str]:
    """Return the secrets in Redis. A key's name may have a recipient, and one field of a hash the pinId."""
    keys = [*client.scan_iter(count=1000)]
    words = _words(" ".join(values(client, keys)))
    words |= {
        word
        for word in _words(" ".join(keys))
        if not _PHONE.fullmatch(word) and _secrets.get(word) not in (MAIL, "phone")
    }
    return [f"{_secrets[word]} {word}" for word in words & _secrets.keys()] + _pin_ids(words)


def values(client: redis.Redis, keys: Sequence[str]) -> Iterator[str]:
    """Yield the values of the keys, except a pinId in its field."""
    kinds = zip(keys, round_trip(client, [("TYPE", key) for key in keys]), strict=True)
    for value in round_trip(client, [_READ[kind](key) for key, kind in kinds if kind in _READ]):
        if isinstance(value, dict):
            yield from (str(each) for field, each in value.items() if not str(field).endswith("pinId"))
        else:
            yield from map(str, value if isinstance(value, list) else [value])


def round_trip(client: redis.Redis, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Return the replies to the commands. A round trip for each key would take seconds over all tests."""
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute()


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text))


def _long(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if len(word) >= 12]


def _pin_ids(words: set[str]) -> list[str]:
    return [f"pinId {word}" for word in words if _PIN_ID.fullmatch(word)]
