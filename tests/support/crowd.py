"""A day of the service, seeded: honest people in ten countries, and fraudsters in three others.

Each event is a request at a second of that day. An honest person asks again one time in five, and verifies the newest
PIN or gives up.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

import phonenumbers

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
# Mobile numbers of ten countries, and of those where SMS cost most; a # is any digit.
HONEST = {
    "DE": "+4915########",
    "FR": "+336########",
    "GB": "+4474########",
    "US": "+1415#######",
    "ES": "+346########",
    "PL": "+4850#######",
    "NL": "+316########",
    "HR": "+38591#######",
    "BR": "+551199#######",
    "IN": "+9198########",
}
PUMPED = {"LT": "+37061######", "UZ": "+99890#######", "AZ": "+99450#######"}
SPIKE = "DE"


class Event(NamedTuple):
    """With `verifies`, the person types the newest PIN; otherwise they ask for one."""

    at: float
    country: str
    phone: str
    address: str
    honest: bool
    verifies: bool


def launch_day(seed: int, a_minute: float = 0.2, spike: float = 200) -> list[Event]:
    """Return a day with `a_minute` people in each of ten countries, and `spike` in one of them for ten minutes.

    The spike begins with the ninth hour. 60 to 90 % of the people verify, each country at a rate of its own.
    """
    source = random.Random(seed)
    events: list[Event] = []
    for n, country in enumerate(HONEST):
        verified = 0.6 + 0.3 * n / (len(HONEST) - 1)
        for at in _moments(source, 0, DAY, a_minute):
            events += _person(source, country, at, verified)
    for at in _moments(source, 8 * HOUR, 8 * HOUR + 10 * MINUTE, spike):
        events += _person(source, SPIKE, at, 0.6)
    return sorted(events)


def pumping(seed: int, start: float, requests: int = 10_000) -> list[Event]:
    """Return `requests` to numbers with 200 prefixes, from 2,000 addresses; none is verified.

    The prefixes are of three countries. Half of the requests come in the first ten minutes, the rest in the five hours
    after.
    """
    source = random.Random(seed)
    prefixes = [(country, number(source, country)[:-4]) for country in PUMPED for _ in range(67)][:200]
    addresses = [_address(source) for _ in range(2000)]
    events = []
    for n in range(requests):
        country, prefix = source.choice(prefixes)
        at = start + (source.uniform(0, 10 * MINUTE) if n % 2 else source.uniform(0, 5 * HOUR))
        phone = f"{prefix}{source.randrange(10_000):04}"
        events.append(Event(at, country, phone, source.choice(addresses), honest=False, verifies=False))
    return sorted(events)


def number(source: random.Random, country: str) -> str:
    """Return a valid number of this country."""
    while True:
        digits = "".join(source.choice("0123456789") if c == "#" else c for c in {**HONEST, **PUMPED}[country])
        if phonenumbers.region_code_for_number(phonenumbers.parse(digits)) == country:
            return digits


def _moments(source: random.Random, start: float, end: float, a_minute: float) -> Iterator[float]:
    at = start + source.expovariate(a_minute / MINUTE)
    while at < end:
        yield at
        at += source.expovariate(a_minute / MINUTE)


def _person(source: random.Random, country: str, at: float, verified: float) -> Iterator[Event]:
    phone, address = number(source, country), _address(source)
    yield Event(at, country, phone, address, honest=True, verifies=False)
    if source.random() < 0.2:
        at += source.uniform(31, 60)
        yield Event(at, country, phone, address, honest=True, verifies=False)
    if source.random() < verified:
        yield Event(at + source.uniform(10, 120), country, phone, address, honest=True, verifies=True)


def _address(source: random.Random) -> str:
    return ".".join(str(source.randrange(1, 255)) for _ in range(4))
