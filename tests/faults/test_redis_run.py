"""`RedisClient.run` with lost, late, refused or nonsensical replies: one error, in time, and the next command works."""

import time
from collections.abc import Iterator

import pytest

from otp.errors import StoreUnavailable
from otp.redis.client import RedisClient, connect
from tests.faults import redis_proxy as rp
from tests.faults.redis_proxy import Act, RedisProxy

# Redis refuses, and has executed nothing.
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
ASKED_AGAIN = ["LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "NOAUTH", "TRYAGAIN"]
# Whether it was executed is unknown.
DONE: dict[str, Act] = {"lost": rp.lose_reply, "half": rp.cut_reply, "silence": rp.hang}
BROKEN: dict[str, Act] = {**DONE, "cut": rp.cut, "garbage": rp.say(b"\x00\xffHTTP/1.1 400\r\n\r\n")}
KEY = "otp:run"


@pytest.fixture
def client(proxy: RedisProxy) -> Iterator[RedisClient]:
    with connect(proxy.url) as client:
        assert count(client) == 1  # a Cluster is asked for its nodes first
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
def test_every_error_is_one_error_until_it_is_over(proxy: RedisProxy, client: RedisClient, error: str) -> None:
    proxy.fault(rp.refuse(error), KEY)
    fails_in_time(client)
    proxy.heal()
    assert count(client) == 2


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN)
def test_a_reply_that_is_lost_is_never_asked_for_again(proxy: RedisProxy, client: RedisClient, act: Act) -> None:
    proxy.fault(act, "INCR", KEY, times=1)
    fails_in_time(client)
    assert proxy.met == 1
    assert count(client) == (3 if act in DONE.values() else 2)


def test_what_was_refused_without_being_run_is_asked_once_more(proxy: RedisProxy, client: RedisClient) -> None:
    for number, error in enumerate(ASKED_AGAIN, 2):
        proxy.fault(rp.refuse(f"{error} for a moment"), "INCR", KEY, times=1)
        assert count(client) == number, error
        assert proxy.met == 1


def test_an_error_of_the_command_itself_is_not_asked_again(proxy: RedisProxy, client: RedisClient) -> None:
    for number, error in enumerate(("OOM", "MISCONF", "NOPERM", "WRONGTYPE"), 2):
        proxy.fault(rp.refuse(f"{error} for a moment"), "INCR", KEY, times=1)
        fails_in_time(client)
        assert proxy.met == 1, error
        proxy.heal()
        assert count(client) == number
