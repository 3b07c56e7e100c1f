"""Redis behind TLS: a Cluster, Sentinels, client certificates. Real servers, which check what they are shown."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from otp.errors import StoreUnavailable
from otp.redis.client import connect
from otp.redis.diagnosis import diagnose_connection
from sandbox.free_port import free_port
from tests.faults.invariants import quickly_refused, whole_flow
from tests.support.redis_servers import TlsServers, connections_to, node
from tests.support.running import Sandbox, Service

Start = Callable[..., Service]
HOST_NAMES = ("--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname")


@pytest.fixture
def tls_servers(tmp_path: Path) -> Iterator[TlsServers]:
    """They end with the test."""
    with TlsServers(tmp_path) as servers:
        yield servers


def test_what_operators_are_told(tls_servers: TlsServers) -> None:
    plain = tls_servers.start(free_port())
    tls = tls_servers.tls_ports[plain]

    def sentence(url: str) -> str:
        found = diagnose_connection(url)
        return found.sentence if found else ""

    assert sentence(f"redis://localhost:{tls}") == "It cannot be reached, or closes the connection."
    assert sentence(f"rediss://localhost:{plain}") == "It does not answer in time."
    assert sentence(f"rediss://localhost:{tls}") == "Its certificate is not accepted."
    trusting = f"rediss://localhost:{tls}?ssl_ca_certs={tls_servers.authority}"
    assert sentence(trusting.replace("localhost", "127.0.0.1")) == "Its certificate is not accepted."
    assert sentence(trusting) == ""
    node(plain).config_set("tls-auth-clients", "yes")
    assert sentence(
        trusting
    ) in (  # in TLS 1.3 a client has sent its PING before it is refused: it may see no more than a reset
        "It does not speak TLS, or does not accept this client's certificate.",
        "It cannot be reached, or closes the connection.",
    )
    assert sentence(f"{trusting}&ssl_certfile={tls_servers.client}") == ""


def run(start: Start, sandbox: Sandbox, url: str) -> Service:
    """The service with this Redis."""
    return start(sandbox.url, REDIS_URL=url, WEB_CONCURRENCY="1")


def why_not(url: str) -> str:
    """What is wrong with what is found at `url`."""
    with pytest.raises(StoreUnavailable) as refused, connect(url) as client:
        client.run(("SET", "key", "value", "EX", 60))
    causes, cause = [], refused.value.__cause__
    while cause:
        causes.append(str(cause))
        cause = cause.__cause__
    return " ".join(causes)


def test_a_cluster_of_host_names(tls_servers: TlsServers, start: Start, sandbox: Sandbox, phone: str) -> None:
    """Each node is known by the name that it gives itself, and shows a certificate for it."""
    ports = tls_servers.cluster(3, *HOST_NAMES)
    for port in ports:
        node(port).config_set("requirepass", "hunter2")
    hosts = ",".join(f"localhost:{tls_servers.tls_ports[port]}" for port in ports)
    url = f"rediss+cluster://:hunter2@{hosts}?ssl_ca_certs={tls_servers.authority}"
    with connect(url) as client:
        assert [server["aof_enabled"] for server in client.administration().servers()] == ["0", "0", "0"]
    service = run(start, sandbox, url)
    for n in range(10):
        whole_flow(service, sandbox, f"{phone[:-2]}{10 + n}")
    quickly_refused(run(start, sandbox, f"rediss+cluster://:hunter2@{hosts}"), phone)
    quickly_refused(run(start, sandbox, f"redis+cluster://:hunter2@{hosts}"), phone)


def test_a_cluster_of_addresses(tls_servers: TlsServers, start: Start, sandbox: Sandbox, phone: str) -> None:
    """Their certificate has only a name: whoever answers at such an address is not known to be the node."""
    ports = tls_servers.cluster(2)
    hosts = ",".join(f"localhost:{tls_servers.tls_ports[port]}" for port in ports)
    url = f"rediss+cluster://{hosts}?ssl_ca_certs={tls_servers.authority}"
    quickly_refused(run(start, sandbox, url), phone)
    whole_flow(run(start, sandbox, f"{url}&ssl_check_hostname=false"), sandbox, phone)


def test_a_cluster_that_does_not_say_where_its_nodes_are(tls_servers: TlsServers) -> None:
    """They are where the URL says, at other ports; also that to which a slot has moved."""
    one, other = tls_servers.cluster(2, "--cluster-preferred-endpoint-type", "unknown-endpoint")
    url = f"rediss+cluster://localhost:{tls_servers.tls_ports[one]}?ssl_ca_certs={tls_servers.authority}"
    slot = key_slot(b"otp:key")
    with connect(url) as client:
        assert client.run(("EXISTS", "key")) == [0]
        for owner in (one, other):
            name = node(owner).execute_command("CLUSTER", "MYID")
            for port in (owner, one, other):
                node(port).execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)
            assert client.run(("SET", "key", "value", "EX", 60)) == ["OK"]
            assert client.run(("DEL", "key")) == [1]
        for place, owner, way in ((one, other, "IMPORTING"), (other, one, "MIGRATING")):
            node(place).execute_command("CLUSTER", "SETSLOT", slot, way, node(owner).execute_command("CLUSTER", "MYID"))
        assert client.run(("SET", "key", "value", "EX", 60)) == ["OK"], "the slot is on its way"


def test_the_only_node_of_a_cluster_that_does_not_say_where_it_is(tls_servers: TlsServers) -> None:
    (port,) = tls_servers.cluster(1, "--cluster-preferred-endpoint-type", "unknown-endpoint")
    url = f"rediss+cluster://localhost:{tls_servers.tls_ports[port]}?ssl_ca_certs={tls_servers.authority}"
    with connect(url) as client:
        assert client.run(("SET", "key", "value", "EX", 60)) == ["OK"]
        assert [*client.administration().keys()] == ["key"]
        assert [server["maxmemory_policy"] for server in client.administration().servers()] == ["noeviction"]
    assert not connections_to(tls_servers.tls_ports[port])


def test_sentinels_with_a_password_of_their_own(
    tls_servers: TlsServers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    primary = tls_servers.start(free_port(), "--save", "")
    sentinel = tls_servers.sentinel(primary)
    node(sentinel).execute_command("ACL", "SETUSER", "watcher", "on", ">at,dawn", "+ping", "+sentinel|masters")
    node(sentinel).execute_command("ACL", "SETUSER", "default", "off")
    node(primary).execute_command("ACL", "SETUSER", "otp", "on", ">hunter2", "~*", "+@all")
    host = f"rediss+sentinel://otp:hunter2@localhost:{tls_servers.tls_ports[sentinel]}/main"
    trusted = f"ssl_ca_certs={tls_servers.authority}"
    known = "sentinel_username=watcher&sentinel_password=at%2Cdawn"
    service = run(start, sandbox, f"{host}?db=1&{trusted}&{known}")
    whole_flow(service, sandbox, phone)
    assert node(primary).info("keyspace")["db1"]["keys"] > 0
    for wrong in (known, trusted, f"{trusted}&sentinel_password=at%2Cdawn", f"{trusted}&{known}x"):
        quickly_refused(run(start, sandbox, f"{host}?{wrong}"), phone)


def test_a_certificate_of_the_client(tls_servers: TlsServers) -> None:
    port = tls_servers.start(free_port())
    node(port).config_set("tls-auth-clients", "yes")
    url = f"rediss://localhost:{tls_servers.tls_ports[port]}?ssl_ca_certs={tls_servers.authority}"
    assert why_not(url)
    with connect(f"{url}&ssl_certfile={tls_servers.client}") as client:
        assert client.run(("SET", "key", "value", "EX", 60)) == ["OK"]


def test_the_one_server_is_known_by_its_name(tls_servers: TlsServers) -> None:
    at = f"{tls_servers.tls_ports[tls_servers.start(free_port())]}?ssl_ca_certs={tls_servers.authority}"
    for _ in range(10):
        with connect(f"rediss://localhost:{at}") as client:
            assert client.run(("SET", "key", "value", "EX", 60)) == ["OK"]
            assert client.administration().servers()
    assert "IP address mismatch" in why_not(f"rediss://127.0.0.1:{at}")
    for loose in ("ssl_check_hostname=false", "ssl_cert_reqs=none"):
        with connect(f"rediss://127.0.0.1:{at}&{loose}") as client:
            assert client.run(("GET", "key")) == ["value"]
