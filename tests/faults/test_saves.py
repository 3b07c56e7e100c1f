"""Redis fails the save of a sent PIN. The save is repeated, and neither replaces a newer PIN nor revives a used one."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis
import requests

from sandbox.free_port import free_port
from tests.faults import redis_proxy as rp
from tests.faults.burst import ApiClients
from tests.faults.held_infobip import HeldInfobip, pin_of
from tests.faults.redis_proxy import Act, RedisProxy
from tests.support.command import eventually
from tests.support.redis_servers import Servers
from tests.support.running import Sandbox, Service, refusal

Start = Callable[..., Service]
SETTINGS = {"WEB_CONCURRENCY": "1"}
KEPT = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
PHONES = [f"+49152{10000000 + number}" for number in range(50)]
NO = (401, "invalid_otp")


@contextmanager
def sent(service: Service, clients: ApiClients, held: HeldInfobip) -> Iterator[None]:
    """Each phone gets its SMS before the block, no PIN is saved in it, and afterwards each PIN verifies once."""
    sends = clients.send(service.port, PHONES)
    held.wait_for(len(PHONES), refused=clients.answered)
    yield
    assert [answer.status for answer in sends.result(60)] == [200] * len(PHONES)
    for expected in (200, 401):
        guesses = [{"phoneNumber": phone, "pin": pin_of(phone)} for phone in PHONES]
        checked = clients.post(service.port, "/verify-otp", guesses).result(60)
        assert [answer.status for answer in checked] == [expected] * len(PHONES)
    assert len(held.checked) == len(held.phones) == len(PHONES)


@pytest.mark.parametrize("sentinel", [False, True], ids=["redis", "redis+sentinel"])
@pytest.mark.parametrize("late", [False, True], ids=["before the answers", "after the answers"])
def test_pins_are_saved_if_redis_restarts_before_the_save(
    servers: Servers, start: Start, clients: ApiClients, held: HeldInfobip, sentinel: bool, late: bool
) -> None:
    port = servers.start(free_port(), *KEPT)
    url = f"redis://127.0.0.1:{port}"
    if sentinel:
        url = f"redis+sentinel://127.0.0.1:{servers.sentinel(port, down_after=60_000)}/main"
    with sent(start(held.url, REDIS_URL=url, **SETTINGS), clients, held):
        servers.processes[port].kill()
        servers.processes[port].wait()
        if late:
            held.answer()
        servers.start(port, *KEPT)
        held.answer()


@pytest.mark.parametrize("times", [1, 10])
@pytest.mark.parametrize("act", [rp.cut, rp.lose_reply, rp.cut_reply], ids=["cut", "reply lost", "reply cut"])
def test_pins_are_saved_if_the_connection_ends_at_the_save(
    proxy: RedisProxy, start: Start, clients: ApiClients, held: HeldInfobip, act: Act, times: int
) -> None:
    """`times` connections end, with all other requests that share them."""
    with sent(start(held.url, REDIS_URL=proxy.url, **SETTINGS), clients, held):
        proxy.fault(act, "otp:phoneNumber:", times=times)
        held.answer()
        eventually(lambda: proxy.met >= 1)


class LateSave:
    """A first send, whose save is repeated at the end of `after`; all other requests go to `other`."""

    def __init__(self, service: Service, other: Service, proxy: RedisProxy, sandbox: Sandbox, phone: str) -> None:
        self.other, self.phone, self._proxy, self._sandbox = other, phone, proxy, sandbox
        self._service, self._happened = service, threading.Event()

    @contextmanager
    def after(self, act: Callable[[threading.Event], Act]) -> Iterator[None]:
        """The block runs between the save that `act` breaks and its repetition."""
        self._proxy.fault(act(self._happened), f"otp:phoneNumber:{self.phone}", "pinId", times=1)
        with ThreadPoolExecutor(1) as executor:
            answer: Future[requests.Response] = executor.submit(self._service.send, self.phone)
            try:
                eventually(lambda: self._proxy.met == 1)
                yield
            finally:
                self._happened.set()
            assert answer.result().status_code in (200, 503)

    def send_again(self) -> None:
        """Send a newer PIN."""
        with redis.Redis(port=self._proxy.server_port) as client:
            client.delete(f"{{otp:phoneNumber:{self.phone}}}:cooldown", f"{{otp:phoneNumber:{self.phone}}}:sent")
        assert self.other.send(self.phone).status_code == 200

    def verifies(self, which: int) -> bool:
        """Return whether the PIN of the first send (0) or of the second one (1) verifies."""
        response = self.other.verify(self.phone, self._sandbox.pins(self.phone)[which])
        assert response.status_code == 200 or refusal(response) == NO
        return response.status_code == 200


@pytest.fixture
def late(proxy: RedisProxy, start: Start, sandbox: Sandbox, phone: str) -> LateSave:
    given = {"REDIS_URL": proxy.url, "RESEND_COOLDOWN": "11s", **SETTINGS}
    service, other = start(sandbox.url, **given), start(sandbox.url, LOG_LEVEL="INFO", **given)
    return LateSave(service, other, proxy, sandbox, phone)


def test_a_save_whose_reply_was_lost_is_repeated(late: LateSave) -> None:
    with late.after(rp.lose_reply_after):
        pass
    assert [late.verifies(0) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("act", [rp.lose_reply_after, rp.cut_after], ids=["executed", "not executed"])
def test_a_repeated_save_never_replaces_a_newer_pin(late: LateSave, act: Callable[[threading.Event], Act]) -> None:
    with late.after(act):
        late.send_again()
    assert [late.verifies(which) for which in (0, 1, 1)] == [False, True, False]


@pytest.mark.parametrize("act", [rp.lose_reply_after, rp.cut_after], ids=["executed", "not executed"])
def test_a_repeated_save_never_revives_an_older_pin_after_the_newer_was_used(
    late: LateSave, act: Callable[[threading.Event], Act]
) -> None:
    with late.after(act):
        late.send_again()
        assert late.verifies(1)
    assert [late.verifies(which) for which in (0, 1)] == [False, False]


def test_a_repeated_save_never_revives_a_used_pin(late: LateSave) -> None:
    with late.after(rp.lose_reply_after):
        assert late.verifies(0)
    assert not late.verifies(0)


def test_a_repeated_save_never_allows_new_guesses(late: LateSave) -> None:
    """All five guesses were wrong, and the repeated save allows no further one."""
    with late.after(rp.lose_reply_after):
        for _ in range(5):
            assert refusal(late.other.verify(late.phone, "000000")) == NO
    assert not late.verifies(0)
