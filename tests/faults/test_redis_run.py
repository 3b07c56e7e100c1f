"""Tests `RedisClient.run` with lost, late, refused and invalid replies: it raises one error in time, and recovers."""

import time
from collections.abc import Iterator

import pytest

from otp.errors import StoreUnavailable
from otp.redis.client import RedisClient, connect
from tests.faults import redis_proxy as rp
from tests.faults.redis_proxy import Act, RedisProxy

# Redis refuses the command without executing it.
REFUSALS = [
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "CLUSTERDOWN The cluster is down",
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOAUTH Authentication required.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOPERM this user has no permissions to run the 'eval' command",
    "ERR max number of clients reached",
]
REPEATED = ["LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "NOAUTH", "TRYAGAIN"]
# It is unknown whether the command was executed.
DONE: dict[str, Act] = {"lost": rp.lose_reply, "half": rp.cut_reply, "silence": rp.hang}
BROKEN: dict[str, Act] = {**DONE, "cut": rp.cut, "garbage": rp.reply_with(b"\x00\xffHTTP/1.1 400\r\n\r\n")}
KEY = "otp:run"


@pytest.fixture
def client(proxy: RedisProxy) -> Iterator[RedisClient]:
    with connect(proxy.url) as client:
        assert count(client) == 1  # on a Cluster, this reads the nodes first
        yield client


def count(client: RedisClient) -> int:
    number, _ = client.run(("INCR", "run"), ("EXPIRE", "run", 60))
    return int(number)


def fails_in_time(client: RedisClient) -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable) as raised:
        count(client)
    assert time.monotonic() - started < 2
    assert raised.value.retry_after == 1


@pytest.mark.parametrize("error", REFUSALS, ids=[error.split()[0] for error in REFUSALS])
def test_every_refusal_raises_the_same_error_until_it_is_over(
    proxy: RedisProxy, client: RedisClient, error: str
) -> None:
    proxy.fault(rp.refuse(error), KEY)
    fails_in_time(client)
    proxy.heal()
    assert count(client) == 2


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN)
def test_a_command_whose_reply_was_lost_is_never_repeated(proxy: RedisProxy, client: RedisClient, act: Act) -> None:
    proxy.fault(act, "INCR", KEY, times=1)
    fails_in_time(client)
    assert proxy.met == 1
    assert count(client) == (3 if act in DONE.values() else 2)


def test_a_command_that_redis_refused_is_repeated_once(proxy: RedisProxy, client: RedisClient) -> None:
    for number, error in enumerate(REPEATED, 2):
        proxy.fault(rp.refuse(f"{error} for a moment"), "INCR", KEY, times=1)
        assert count(client) == number, error
        assert proxy.met == 1


def test_a_command_is_not_repeated_after_an_error_of_its_own(proxy: RedisProxy, client: RedisClient) -> None:
    for number, error in enumerate(("OOM", "MISCONF", "NOPERM", "WRONGTYPE"), 2):
        proxy.fault(rp.refuse(f"{error} for a moment"), "INCR", KEY, times=1)
        fails_in_time(client)
        assert proxy.met == 1, error
        proxy.heal()
        assert count(client) == number
