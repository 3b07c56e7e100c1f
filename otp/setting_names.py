"""Finds misspelt names of settings: the service would ignore them, and what they set."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher

NEAR, RELATED = 0.8, 0.6  # least ratio (difflib) of a misspelling: in the environment, and in `.env`
# Settings of other programs: of Docker Compose in `.env`, and of those that run the service and its sandbox.
_FOREIGN = re.compile(
    "(COMPOSE|DOCKER|BUILDKIT|OTEL|SANDBOX|GUNICORN|FLASK|PYTHON|PROMETHEUS|GEVENT|KUBERNETES|AWS|AZURE|DD|GOOGLE)_.*"
    "|REPLICAS|SERVICE_URL|DELIVERY_REPORTS_URL|PATH|TZ|LANG|HOME|TMPDIR|NO_COLOR|(HTTPS?|ALL|NO)_PROXY"
    # Kubernetes and Docker's links set these for each service.
    "|.*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_[0-9]+_(TCP|UDP).*)"
)
# Similar names that belong to other programs: keys of Cloudflare or Hugging Face, a second address from Heroku.
_NEIGHBOURS = re.compile("(?!OTP_)[A-Z0-9]{2,3}_API_KEY|API_KEY_ID|REDIS_(TLS_URL|USER)")
# Beginnings of the X_PORT values that Kubernetes and Docker set for a service X.
_LINKED = ("tcp://", "udp://", "sctp://")
_SHORT = 4  # letters; BINDIR is as similar to BIND as a misspelling is
# Names that may be quoted: a line of a secret that spans several lines without quotes is read as a name.
_WORD = "[0-9]{0,2}[a-z]{1,20}[0-9]{0,2}"  # a hexadecimal key has digits between its letters
_WORDS = f"{_WORD}(_{_WORD}){{0,8}}"
_PLAIN = re.compile(f"{_WORDS}|{_WORDS.replace('a-z', 'A-Z')}")


class SettingNames:
    """Knows the names of all settings.

    Args:
        names: in capitals.
        secrets: the names of secrets, each of which may also be a file that `X_FILE` names.
    """

    def __init__(self, names: Iterable[str], secrets: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._files = frozenset(f"{name}_FILE" for name in secrets)
        self._letters = {name: _letters(name) for name in sorted(self._names | self._files)}

    def is_read(self, name: str) -> bool:
        """Whether `name` sets something. Letters may be small, except in the name of a file."""
        return name in self._files or name.upper() in self._names

    def complaints(self, environment: Mapping[str, str]) -> Iterator[str]:
        """A sentence for each misspelt name in the `environment`, where most names belong to other programs."""
        for name, value in environment.items():
            if not value.startswith(_LINKED) and (said := self.complaint(name, in_file=False)):
                yield said

    def complaint(self, name: str, *, in_file: bool) -> str:
        """What is wrong with `name`; "" where nothing is. In `.env`, every unknown name is wrong."""
        capitals = name.upper()
        if name in self._names | self._files or _FOREIGN.fullmatch(capitals):
            return ""
        if capitals in self._names:
            return f"{name} is read as {capitals}. Write it in capitals."
        if capitals.removesuffix("_FILE") in self._names and capitals not in self._files:
            return f"{name} is ignored: only a secret can be a file. Set {capitals.removesuffix('_FILE')}."
        nearest, similarity = self._nearest(capitals)
        if similarity >= RELATED if in_file else _is_near(capitals, nearest, similarity):
            return f"{_quotable(name, similarity)} is not a setting and is ignored. Did you mean {nearest}?"
        return f"{_quotable(name, similarity)} is not a setting and is ignored." if in_file else ""

    def _nearest(self, capitals: str) -> tuple[str, float]:
        given = _letters(capitals)
        found = {name: _similarity(given, letters) for name, letters in self._letters.items()}
        nearest = max(found, key=found.__getitem__)
        return nearest, found[nearest]


def _is_near(capitals: str, nearest: str, similarity: float) -> bool:
    if len(nearest) <= _SHORT:
        return len(capitals) >= _SHORT and (similarity > NEAR or sorted(capitals) == sorted(nearest))
    return similarity >= NEAR and not _NEIGHBOURS.fullmatch(capitals)


def _letters(name: str) -> tuple[str, str]:
    """The letters of its words, in their order and in alphabetical order."""
    words = re.findall("[^_.: -]+", name)
    return "".join(words), "".join(sorted(words))


def _similarity(some: tuple[str, str], others: tuple[str, str]) -> float:
    return max(_ratio(one, other) for one, other in zip(some, others, strict=True))


def _ratio(one: str, other: str) -> float:
    matcher = SequenceMatcher(None, one, other)
    return matcher.ratio() if matcher.real_quick_ratio() >= RELATED and matcher.quick_ratio() >= RELATED else 0


def _quotable(name: str, similarity: float) -> str:
    is_misspelt = similarity >= NEAR and re.fullmatch("[A-Za-z0-9_.-]{1,64}", name)
    return name if is_misspelt or _PLAIN.fullmatch(name) else "A name"
