"""Every fault of Infobip leads to the right row of the error table, in time; nothing happens twice."""

import socket
import threading
from collections.abc import Iterator

import psutil
import pytest
import redis
import requests

from tests.faults import upstream_acts
from tests.faults.infobip_faults import resends, sends, verifies
from tests.faults.invariants import seconds
from tests.support import upstream as up
from tests.support.command import eventually
from tests.support.running import Service, refusal
from tests.support.upstream import WRONG, Upstream, answer

# There is one for each row of the error table that a resend ends in, with its cooldown kept or not; a resend reads the
# response as a send does.
RESENDS = ["reset", "500 html", "empty", "no pinId", "401", "404", "404 html", "429", "not sent"]
IN_TIME = 2.0  # seconds; the deadline of the call to Infobip is one second, and this machine may be busy


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Return the URL of another host, which must never be contacted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://localhost:{listener.getsockname()[1]}"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("what", sends())
def test_every_fault_of_a_send_leads_to_its_error(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str, what: str, elsewhere: str
) -> None:
    fault = sends(elsewhere)[what]
    upstream.script.append(fault.act)
    refused = faulty.send(phone)
    assert refusal(refused) == fault.row
    assert seconds(refused) < IN_TIME
    assert [path for path, _, _ in upstream.requests] == ["/2fa/2/pin?ncNeeded=false"], "never repeated"
    kept = not fault.given_back
    assert database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown") == kept
    assert not database.exists(f"otp:phoneNumber:{phone}")
    assert database.llen(f"{{otp:phoneNumber:{phone}}}:sent") == kept
    (day,) = [key for key in database.scan_iter("otp:LIMITS:*total*")]
    assert database.hget(day, "sum") == str(int(kept))
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert faulty.send(phone).status_code == 200, "the next honest request works"


@pytest.mark.parametrize("what", RESENDS)
def test_every_fault_of_a_resend_leads_to_its_error(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str, what: str, elsewhere: str
) -> None:
    assert faulty.send(phone).status_code == 200
    database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
    fault = resends(elsewhere)[what]
    upstream.script.append(fault.act)
    refused = faulty.post("/resend-otp", {"phoneNumber": phone})
    assert refusal(refused) == fault.row
    assert seconds(refused) < IN_TIME
    assert len(upstream.requests) == 2, "never repeated"
    assert database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown") == (not fault.given_back)
    assert (faulty.verify(phone, "123456").status_code == 200) != fault.gone, "the PIN in flight"


@pytest.mark.parametrize("what", verifies())
def test_every_fault_of_a_verify_leads_to_its_error(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str, what: str, elsewhere: str
) -> None:
    fault = verifies(elsewhere)[what]
    assert faulty.send(phone).status_code == 200
    calls = 2 if fault.status >= 500 else 1
    upstream.script.extend([fault.act] * calls)
    refused = faulty.verify(phone, "123456")
    assert refusal(refused) == fault.row
    assert seconds(refused) < IN_TIME
    assert len(upstream.requests) == 1 + calls
    attempts = "0" if fault.given_back else "1"
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == attempts
    if fault.gone:  # Infobip no longer knows the PIN, so the service does not ask for it any more
        assert refusal(faulty.verify(phone, "123456")) == (401, "invalid_otp")
        assert len(upstream.requests) == 1 + calls
        database.delete(f"{{otp:phoneNumber:{phone}}}:cooldown")
        assert faulty.send(phone).status_code == 200
    assert faulty.verify(phone, "123456").status_code == 200, "the next honest request works"


def test_a_5xx_and_then_a_wrong_pin_count_as_one_guess(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str
) -> None:
    faulty.send(phone)
    upstream.script.extend([upstream_acts.html(500), answer(WRONG)])
    assert refusal(faulty.verify(phone, "123456")) == (401, "invalid_otp")
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == "1"


@pytest.mark.parametrize("what", ["429", "throttled by its word", "401", "404 html"])
def test_a_refusal_after_a_5xx_leaves_the_guess_counted(
    faulty: Service, upstream: Upstream, database: redis.Redis, phone: str, what: str
) -> None:
    """Infobip may have checked the PIN in the first request, so the guess is not given back."""
    faulty.send(phone)
    upstream.script.extend([upstream_acts.html(503), verifies()[what].act])
    assert refusal(faulty.verify(phone, "123456")) == (504, "provider_timeout")
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") == "1"


def test_a_gzip_bomb_is_never_decompressed(faulty: Service, upstream: Upstream, phone: str) -> None:
    faulty.send(phone)
    (worker,) = (psutil.Process(pid) for pid in faulty.workers())
    before = worker.memory_info().rss
    upstream.script.extend([upstream_acts.gzip_bomb] * 4)
    for _ in range(4):
        assert refusal(faulty.verify(phone, "123456")) == (502, "provider_error")
    assert worker.memory_info().rss - before < 20 * 1024 * 1024


ENDLESS = {
    "100 Continue": upstream_acts.endless_continue,
    "trailers": upstream_acts.endless_trailers,
    "chunks": up.endless,
    "tiny chunks": upstream_acts.tiny_chunks,
}


@pytest.mark.parametrize("what", ENDLESS)
def test_an_endless_response_does_not_delay_other_requests(
    faulty: Service, upstream: Upstream, phone: str, what: str
) -> None:
    """The response arrives faster than it is read, so the reader never waits."""
    upstream.script.append(ENDLESS[what])
    sending = threading.Thread(target=faulty.send, args=(phone,))
    sending.start()
    eventually(lambda: upstream.requests)
    assert requests.get(f"{faulty.url}/healthz", timeout=IN_TIME).status_code == 200
    sending.join()
