"""Tests Redis over TLS: a Cluster, Sentinels, and client certificates, with real servers that check certificates."""

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
    """Redis servers with TLS, which end with the test."""
    with TlsServers(tmp_path) as servers:
        yield servers


def test_the_diagnosis_explains_each_tls_fault(tls_servers: TlsServers) -> None:
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
    """Start the service with this Redis."""
    return start(sandbox.url, REDIS_URL=url, WEB_CONCURRENCY="1")


def causes_of_failure(url: str) -> str:
    """Return the causes for which a SET at `url` fails."""
    with pytest.raises(StoreUnavailable) as refused, connect(url) as client:
        client.run(("SET", "key", "value", "EX", 60))
    causes, cause = [], refused.value.__cause__
    while cause:
        causes.append(str(cause))
        cause = cause.__cause__
    return " ".join(causes)


def test_a_cluster_that_announces_host_names(
    tls_servers: TlsServers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """Each node announces a host name, and has a certificate for it."""
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


def test_a_cluster_of_addresses_works_only_without_the_host_name_check(
    tls_servers: TlsServers, start: Start, sandbox: Sandbox, phone: str
) -> None:
    """The certificate has only a host name, so it does not prove which server is at the address."""
    ports = tls_servers.cluster(2)
    hosts = ",".join(f"localhost:{tls_servers.tls_ports[port]}" for port in ports)
    url = f"rediss+cluster://{hosts}?ssl_ca_certs={tls_servers.authority}"
    quickly_refused(run(start, sandbox, url), phone)
    whole_flow(run(start, sandbox, f"{url}&ssl_check_hostname=false"), sandbox, phone)


def test_a_cluster_that_does_not_announce_its_hosts(tls_servers: TlsServers) -> None:
    """The nodes are at the host of the URL, at other ports; so is the node to which a slot has moved."""
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


def test_a_cluster_of_one_node_that_does_not_announce_its_host(tls_servers: TlsServers) -> None:
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


def test_a_client_certificate_is_sent_where_it_is_required(tls_servers: TlsServers) -> None:
    port = tls_servers.start(free_port())
    node(port).config_set("tls-auth-clients", "yes")
    url = f"rediss://localhost:{tls_servers.tls_ports[port]}?ssl_ca_certs={tls_servers.authority}"
    assert causes_of_failure(url)
    with connect(f"{url}&ssl_certfile={tls_servers.client}") as client:
        assert client.run(("SET", "key", "value", "EX", 60)) == ["OK"]


def test_a_single_server_is_verified_by_its_host_name(tls_servers: TlsServers) -> None:
    at = f"{tls_servers.tls_ports[tls_servers.start(free_port())]}?ssl_ca_certs={tls_servers.authority}"
    for _ in range(10):
        with connect(f"rediss://localhost:{at}") as client:
            assert client.run(("SET", "key", "value", "EX", 60)) == ["OK"]
            assert client.administration().servers()
    assert "IP address mismatch" in causes_of_failure(f"rediss://127.0.0.1:{at}")
    for loose in ("ssl_check_hostname=false", "ssl_cert_reqs=none"):
        with connect(f"rediss://127.0.0.1:{at}&{loose}") as client:
            assert client.run(("GET", "key")) == ["value"]
