"""Tests delivery reports while Redis fails, and on a Cluster, where any two keys may be on different nodes."""

from collections.abc import Callable, Iterator
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest
import redis
import requests

from otp.redis.scripts import Script
from tests.delivery.test_deliveries import REPORTS, SECRET, TRACKED, result
from tests.delivery.test_verifications import KEYS, OURS, Shop
from tests.faults import redis_proxy as rp
from tests.faults.invariants import UNAVAILABLE, is_ready
from tests.faults.redis_proxy import Act, RedisProxy
from tests.support.measured import Measured, metrics_port
from tests.support.receiver import until
from tests.support.redis_servers import Servers, node
from tests.support.running import Sandbox, Service, other_pin, refusal

Start = Callable[..., Service]

either = pytest.mark.parametrize("act", [rp.lose_reply, rp.cut], ids=["executed", "not executed"])
REMEMBER, DECIDE, FREE, MARK = [
    Script(name).sha for name in ("message_add", "message_first_report", "cooldown_end", "verification_mark")
]


@pytest.fixture
def broken(request: pytest.FixtureRequest, proxy: RedisProxy, start: Start, sandbox: Sandbox) -> Measured:
    """Return the service behind that proxy, with client apps and reports; the sandbox posts no reports."""
    scheme = request.node.callspec.params["proxy"]
    settings = {"REDIS_URL": f"{scheme}://127.0.0.1:{proxy.port}", "METRICS_PORT": str(metrics_port(scheme))}
    return Measured(start(sandbox.url, API_KEYS=KEYS, WEB_CONCURRENCY="1", **settings, **TRACKED), metrics_port(scheme))


def post_report(broken: Measured, *results: Any) -> requests.Response:
    return broken.service.post(REPORTS, {"results": [*results]}, headers={"Authorization": f"Bearer {SECRET}"})


def message_of(data: redis.Redis) -> str:
    until(lambda: list(data.scan_iter("otp:message:*")))
    (key,) = data.scan_iter("otp:message:*")
    return str(key.removeprefix("otp:message:"))


@either
def test_a_message_that_cannot_be_recorded_can_still_be_verified(
    broken: Measured, proxy: RedisProxy, sandbox: Sandbox, phone: str, act: Act
) -> None:
    shop = Shop(broken.service)
    proxy.fault(act, REMEMBER, times=1)
    sent = shop.send(phone)
    until(lambda: proxy.met == 1)
    proxy.heal()
    until(lambda: is_ready(broken.service))  # over another connection: all requests share the one that broke
    assert shop.verify(phone, sandbox.pin(phone)) == 200
    shop.becomes(sent, "verified")
    assert "Traceback" not in broken.service.log()


@pytest.mark.parametrize("script", [DECIDE, FREE], ids=["first report", "end of the cooldown"])
@either
def test_a_report_that_may_not_have_been_applied_gets_a_503(
    broken: Measured, proxy: RedisProxy, phone: str, act: Act, script: str
) -> None:
    with redis.Redis(port=proxy.server_port, decode_responses=True) as data:
        before = broken.value("otp_deliveries_total")
        Shop(broken.service).send(phone)
        failed = result(message_of(data), phone)
        proxy.fault(act, script, times=1)
        refused = post_report(broken, failed)
        assert refusal(refused) == UNAVAILABLE
        assert int(refused.headers["Retry-After"]) >= 1
        assert proxy.met == 1
        assert post_report(broken, failed).status_code == 200
        assert not data.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")
        assert broken.value("otp_deliveries_total") - before in ((0, 1) if script == DECIDE else (1,)), "at most once"


def test_a_delivery_that_may_not_have_been_recorded_gets_a_503(broken: Measured, proxy: RedisProxy, phone: str) -> None:
    shop = Shop(broken.service)
    with redis.Redis(port=proxy.server_port, decode_responses=True) as data:
        sent = shop.send(phone)
        delivered = result(message_of(data), phone, "DELIVERED")
        proxy.fault(rp.cut, MARK, times=1)
        assert refusal(post_report(broken, delivered)) == UNAVAILABLE
        assert shop.look(sent)["status"] == "pending"
        assert post_report(broken, delivered).status_code == 200
        assert shop.look(sent)["status"] == "delivered"


def test_a_verify_whose_status_cannot_be_recorded_succeeds(
    broken: Measured, proxy: RedisProxy, sandbox: Sandbox, phone: str
) -> None:
    shop = Shop(broken.service)
    sent = shop.send(phone)
    proxy.fault(rp.cut, MARK, times=1)
    assert shop.verify(phone, sandbox.pin(phone)) == 200
    until(lambda: proxy.met == 1)
    until(lambda: is_ready(broken.service))
    assert shop.look(sent)["status"] == "pending"


@pytest.mark.parametrize("path", ["/verifications/q4nB0tW7xkR2yV9cE1sLuA", REPORTS])
def test_without_redis_both_routes_respond_with_503(broken: Measured, proxy: RedisProxy, path: str) -> None:
    proxy.fault(rp.cut)
    response = (
        post_report(broken, result("a", "+4915110000000")) if path == REPORTS else broken.service.get(path, **OURS)
    )
    assert refusal(response) == UNAVAILABLE
    assert int(response.headers["Retry-After"]) >= 1


@pytest.fixture
def cluster(servers: Servers) -> Iterator[list[int]]:
    """Start three servers that share the slots. Every key that is left there must have a time to live."""
    ports = servers.cluster(3)
    yield ports
    for port in ports:
        assert [key for key in node(port).scan_iter() if node(port).ttl(key) == -1] == []


def signal_all(servers: Servers, number: int) -> None:
    for process in servers.processes.values():
        process.send_signal(number)


def test_reports_are_applied_on_a_cluster_of_three(
    servers: Servers, cluster: list[int], start: Start, sandbox: Sandbox
) -> None:
    """The sandbox itself posts the reports, also while all of Redis hangs; then it posts them again."""
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in cluster)
    shop = Shop(start(sandbox.url, REDIS_URL=url, API_KEYS=KEYS, **TRACKED))
    sandbox.reports_url = f"{shop.service.url}{REPORTS}/{SECRET}"
    sandbox.reset()
    phones = [f"+49155{number}" for number in range(50000000, 50000008)]
    sent = [shop.send(phone) for phone in phones]
    lost = shop.send(unreachable := "+14155550109")
    signal_all(servers, SIGSTOP)
    until(lambda: shop.service.lines(route=f"{REPORTS}/<secret>", status=503))
    signal_all(servers, SIGCONT)
    sandbox.reports_url = None
    for each in sent:
        shop.becomes(each, "delivered")
    until(lambda: not any(node(port).keys(f"*cooldown:{unreachable}") for port in cluster))
    assert shop.look(lost)["status"] == "pending"
    for phone, each in zip(phones[:4], sent[:4], strict=True):
        assert shop.verify(phone, sandbox.pin(phone)) == 200
        shop.becomes(each, "verified")
    for _ in range(5):
        shop.verify(phones[4], other_pin(sandbox.pin(phones[4])))
    shop.becomes(sent[4], "expired")
