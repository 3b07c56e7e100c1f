"""Tests a Cluster whose slots move to another node, whose nodes hang, or that comes back at another port."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from signal import SIGCONT, SIGSTOP

import pytest
from redis.crc import key_slot

from sandbox.free_port import free_port
from tests.faults.burst import Answer, ApiClients
from tests.faults.held_infobip import HeldInfobip, pin_of
from tests.faults.invariants import back_within, is_ready, quickly_refused, whole_flow
from tests.faults.redis_proxy import RedisProxy, reply_with
from tests.support.redis_servers import Servers, eventually, meet, node
from tests.support.running import Sandbox, Service

Start = Callable[..., Service]
SETTINGS = {"WEB_CONCURRENCY": "1"}
SLOT = 4711
AT_ONCE = 50  # requests
KEPT = ("--appendonly", "yes", "--appendfsync", "always")


class Move:
    """Moves SLOT from the node that has all slots to a new one without scripts."""

    def __init__(self, servers: Servers) -> None:
        (self.source,) = servers.cluster(1)
        self.target = servers.cluster_node(free_port())
        meet(self.source, self.target)
        eventually(lambda: node(self.target).cluster("INFO")["cluster_state"] == "ok")

    def begin(self) -> None:
        """From now on, the target serves the keys that the source does not have."""
        node(self.target).execute_command("CLUSTER", "SETSLOT", SLOT, "IMPORTING", _id(self.source))
        node(self.source).execute_command("CLUSTER", "SETSLOT", SLOT, "MIGRATING", _id(self.target))

    def move_keys(self) -> None:
        keys = node(self.source).execute_command("CLUSTER", "GETKEYSINSLOT", SLOT, 1000)
        assert keys
        node(self.source).execute_command("MIGRATE", "127.0.0.1", self.target, "", 0, 5000, "KEYS", *keys)

    def end(self) -> None:
        for port in (self.target, self.source):
            node(port).execute_command("CLUSTER", "SETSLOT", SLOT, "NODE", _id(self.target))

    def refusals(self, word: str) -> int:
        """Return how often either node refused a command with this word."""
        stats = [node(port).info("errorstats").get(f"errorstat_{word}", {}) for port in (self.source, self.target)]
        return sum(each.get("count", 0) for each in stats)


@cache
def phones() -> list[str]:
    """Return some phones whose keys are all in SLOT."""
    some = (f"+49151{number}" for number in range(10000000, 10300000))
    return [phone for phone in some if key_slot(f"otp:phoneNumber:{phone}".encode()) == SLOT]


def _id(port: int) -> str:
    return str(node(port).execute_command("CLUSTER", "MYID"))


def statuses(answers: list[Answer]) -> set[int]:
    return {answer.status for answer in answers}


def verify(service: Service, clients: ApiClients, of: list[str]) -> "Future[list[Answer]]":
    guesses = ({"phoneNumber": phone, "pin": pin_of(phone)} for phone in of)
    return clients.post(service.port, "/verify-otp", guesses)


def nothing_twice(held: HeldInfobip) -> None:
    """Check that each phone got one SMS, and that Infobip checked each PIN once."""
    assert sorted(held.phones.values()) == sorted(phone for phone, _ in held.checked) == phones()


def test_pins_are_saved_if_their_slot_moves_before_the_save(
    servers: Servers, start: Start, clients: ApiClients, held: HeldInfobip
) -> None:
    move = Move(servers)
    service = start(held.url, REDIS_URL=url(move.source), **SETTINGS)
    sends = clients.send(service.port, phones())
    held.wait_for(len(phones()), refused=clients.answered)
    move.begin()
    move.move_keys()
    held.answer()
    assert statuses(sends.result(60)) == {200}
    assert move.refusals("ASK"), "they were sent on"
    assert move.refusals("NOSCRIPT"), "to a node without the scripts"
    move.end()
    assert statuses(verify(service, clients, phones()).result(60)) == {200}
    assert statuses(verify(service, clients, phones()).result(60)) == {401}
    nothing_twice(held)
    assert move.refusals("MOVED")
    assert is_ready(service)


def test_requests_wait_while_their_slot_moves(
    servers: Servers, start: Start, clients: ApiClients, held: HeldInfobip
) -> None:
    """Redis replies TRYAGAIN: neither node has all keys of a script."""
    move, held.holds = Move(servers), False
    service = start(held.url, REDIS_URL=url(move.source), **SETTINGS)
    old, new = phones()[:10], phones()[10:]
    assert statuses(clients.send(service.port, old).result(60)) == {200}
    move.begin()
    sends, verifies = clients.send(service.port, new), verify(service, clients, old)
    eventually(lambda: move.refusals("TRYAGAIN") > 3 * len(phones()) or clients.answered())
    move.move_keys()
    move.end()
    assert statuses(sends.result(60)) == statuses(verifies.result(60)) == {200}
    assert statuses(verify(service, clients, new).result(60)) == {200}
    nothing_twice(held)


def test_requests_are_refused_in_time_while_all_nodes_hang(
    servers: Servers, start: Start, clients: ApiClients, sandbox: Sandbox, phone: str
) -> None:
    """Requests do not queue for the table of slots."""
    ports = servers.cluster(2)
    service = start(sandbox.url, REDIS_URL=url(*ports), **SETTINGS)
    whole_flow(service, sandbox, phone)
    requests_before = sandbox.request_count()
    for port in ports:
        servers.processes[port].send_signal(SIGSTOP)
    for first in (20000000, 30000000):  # with silent connections, then without connections and slots
        answers = clients.send(service.port, (f"+49151{first + number}" for number in range(AT_ONCE))).result(60)
        assert statuses(answers) == {503}
        assert max(answer.took for answer in answers) < 2
    assert sandbox.request_count() == requests_before
    for port in ports:
        servers.processes[port].send_signal(SIGCONT)
    back_within(5, service, "+442071838750")


def test_the_service_finds_a_cluster_that_comes_back_at_another_port(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """None of its announced addresses is valid any more, but one of REDIS_URL is."""
    (port,), other = servers.cluster(1, *KEPT), free_port()
    service = start(sandbox.url, REDIS_URL=url(port, other), **SETTINGS)
    assert service.send(phone).status_code == 200
    servers.move(port, other, *KEPT)
    back_within(5, service, "+442071838750")
    assert service.verify(phone, sandbox.pin(phone)).status_code == 200
    assert is_ready(service)


def url(*ports: int) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)


@pytest.mark.parametrize("table", ["$-1", "+FINE", ":5", "*1\r\n*2\r\n:0\r\n:16383", "*1\r\n*3\r\n:0\r\n:1\r\n*0"])
def test_an_invalid_table_of_slots_is_a_503(
    servers: Servers, start: Start, sandbox: Sandbox, phone: str, table: str
) -> None:
    with RedisProxy() as proxy:
        (proxy.server_port,) = servers.cluster(1, "--cluster-announce-port", str(proxy.port))
        service = start(sandbox.url, REDIS_URL=f"redis+cluster://127.0.0.1:{proxy.port}", **SETTINGS)
        proxy.fault(reply_with(f"{table}\r\n".encode()), "\r\nSLOTS\r\n")
        quickly_refused(service, phone)
        assert proxy.met
        proxy.heal()
        whole_flow(service, sandbox, phone)
