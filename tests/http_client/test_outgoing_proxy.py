"""Tests the settings INFOBIP_PROXY and INFOBIP_CA: a proxy, and the operator's own certificate authority."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
import trustme

from cli.infobip import infobip
from config import SettingsError, load_settings
from sandbox.authorization import API_KEY
from sandbox.free_port import free_port
from tests.faults import upstream_acts
from tests.faults.invariants import UNAVAILABLE, seconds
from tests.support import upstream as up
from tests.support.command import CommandLine, eventually
from tests.support.connect_proxy import ConnectProxy
from tests.support.running import ACCOUNT, Sandbox, Service, refusal
from tests.support.tls_proxy import TlsProxy
from tests.support.upstream import Upstream

USER, PASSWORD = "otp", "p@ss:w/rd-%-0123456789"
ENCODED = "p%40ss:w%2Frd-%25-0123456789"
SOON = 2.0  # seconds; the deadline of a call is one second
Start = Callable[..., Service]


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy(f"{USER}:{PASSWORD}") as proxy:
        yield proxy


@pytest.fixture
def infobip_by_tls(upstream: Upstream, tmp_path: Path) -> Iterator[TlsProxy]:
    """The scripted Infobip behind TLS, with a certificate for `localhost`."""
    with TlsProxy(upstream.port, tmp_path) as secure:
        yield secure


@pytest.fixture
def proxied(start: Start, database: redis.Redis, infobip_by_tls: TlsProxy, proxy: ConnectProxy) -> Service:
    """The service behind the proxy, with a deadline of one second, after its startup check of the account."""
    return behind(start, infobip_by_tls, proxy, "1s")


def behind(start: Start, infobip_by_tls: TlsProxy, proxy: ConnectProxy, deadline: str) -> Service:
    service = start(
        f"https://localhost:{infobip_by_tls.port}",
        INFOBIP_PROXY=f"http://{USER}:{ENCODED}@127.0.0.1:{proxy.port}",
        INFOBIP_CA=str(infobip_by_tls.authority),
        INFOBIP_TIMEOUT=deadline,
        RESEND_COOLDOWN="20s",
        WEB_CONCURRENCY="1",
    )
    eventually(lambda: service.lines(logger="otp.infobip"))
    return service


def test_all_requests_go_through_the_proxy_which_cannot_read_them(
    proxied: Service, proxy: ConnectProxy, infobip_by_tls: TlsProxy, upstream: Upstream, phone: str
) -> None:
    answer = proxied.send(phone)
    assert answer.status_code == 200
    assert proxied.verify(phone, "123456").status_code == 200
    assert [path.rpartition("/")[2] for path, _, _ in upstream.requests] == ["pin?ncNeeded=false", "verify"]
    request_lines = {head.split("\r\n")[0] for head in proxy.heads}
    assert request_lines == {f"CONNECT localhost:{infobip_by_tls.port} HTTP/1.1"}
    assert API_KEY.encode() not in "".join(proxy.heads).encode() + proxy.passed
    assert PASSWORD not in (log := proxied.log_with(answer))
    assert ENCODED not in log
    assert '"INFOBIP_PROXY": "set"' in log


def test_one_connection_carries_several_calls(proxied: Service, proxy: ConnectProxy, phone: str) -> None:
    proxied.send(phone)
    before = len(proxy.heads)
    assert proxied.verify(phone, "123456").status_code == 200
    assert len(proxy.heads) == before


def status(line: bytes) -> up.Act:
    return up.raw(b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\n\r\n")


def smuggle(client: socket.socket) -> None:
    """Accept the CONNECT, and send a response in the name of the host."""
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def endless(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        client.sendall(b"X: " + b"a" * 65536 + b"\r\n")


REFUSALS = {
    "credentials": status(b"407 Proxy Authentication Required"),
    "forbidden": status(b"403 Forbidden"),
    "bad gateway": status(b"502 Bad Gateway"),
    "unavailable": status(b"503 Service Unavailable"),
    "redirect": up.raw(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"),
    "switching": up.raw(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "garbage": up.raw(b"SSH-2.0-hello\r\n\r\n"),
    "not even a number": up.raw(b"HTTP/1.1 2000 OK\r\n\r\n"),
    "smuggled": smuggle,
    "endless": endless,
    "silence": up.silence,
    "drip": up.drip,
    "reset": up.reset,
    "closed": up.hang_up,
    "connected and closed": up.raw(b"HTTP/1.1 200 OK\r\n\r\n"),
}


@pytest.mark.long
@pytest.mark.parametrize("what", REFUSALS)
def test_a_proxy_that_does_not_connect_is_a_503(
    proxied: Service, proxy: ConnectProxy, upstream: Upstream, database: redis.Redis, phone: str, what: str
) -> None:
    """Nothing is sent and nothing is counted, so the next send to the same number works at once."""
    proxy.acts.append(REFUSALS[what])
    refused = proxied.send(phone)
    assert refusal(refused) == UNAVAILABLE
    assert seconds(refused) < SOON
    assert upstream.requests == []
    assert not database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")
    assert not database.exists(f"{{otp:phoneNumber:{phone}}}:sent")
    assert proxied.send(phone).status_code == 200
    assert len(upstream.requests) == 1


def test_a_proxy_that_refuses_does_not_get_the_api_key(
    start: Start, database: redis.Redis, upstream: Upstream, proxy: ConnectProxy, phone: str
) -> None:
    """Infobip has no TLS here, so the proxy could read the key."""
    received: list[bytes] = []

    def refuse(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        received.append(client.recv(65536))

    url = f"http://{USER}:{ENCODED}@127.0.0.1:{proxy.port}"
    service = start(upstream.url, INFOBIP_PROXY=url, INFOBIP_ALLOW_HTTP="true", WEB_CONCURRENCY="1")
    eventually(lambda: service.lines(logger="otp.infobip"))
    proxy.acts.append(refuse)
    assert refusal(service.send(phone)) == UNAVAILABLE
    eventually(lambda: received)
    assert received == [b""]
    assert service.send(phone).status_code == 200
    assert API_KEY.encode() in proxy.passed


def test_a_refusal_of_the_proxy_credentials_is_logged(proxied: Service, proxy: ConnectProxy) -> None:
    proxy.acts.append(REFUSALS["credentials"])
    refused = proxied.send("+442071838750")
    proxied.log_with(refused)
    assert proxied.lines(event="provider_silent")[-1]["error"] == "ProxyCredentialsError"


def test_a_verify_that_the_proxy_refuses_counts_no_guess(
    proxied: Service, proxy: ConnectProxy, upstream: Upstream, database: redis.Redis, phone: str
) -> None:
    """The service tries twice, because no byte of the request has left."""
    upstream.script.append(up.answer(up.SENT, headers="Connection: close\r\n"))
    assert proxied.send(phone).status_code == 200
    proxy.acts.extend([REFUSALS["forbidden"]] * 2)
    assert refusal(proxied.verify(phone, "123456")) == UNAVAILABLE
    assert database.hget(f"otp:phoneNumber:{phone}", "attempts") in (None, "0")
    proxy.acts.append(REFUSALS["forbidden"])
    assert proxied.verify(phone, "123456").status_code == 200


@pytest.mark.long
@pytest.mark.parametrize(
    "act", [up.hang_up, up.reset, up.silence, up.drip, upstream_acts.drip_body, upstream_acts.endless_trailers]
)
def test_a_send_that_fails_behind_the_proxy_is_sent_once(
    proxied: Service, upstream: Upstream, database: redis.Redis, phone: str, act: up.Act
) -> None:
    upstream.script.append(act)
    answer = proxied.send(phone)
    assert refusal(answer) == (504, "provider_timeout")
    assert seconds(answer) < SOON
    assert len(upstream.requests) == 1
    assert database.exists(f"{{otp:phoneNumber:{phone}}}:cooldown")


def test_an_endless_body_is_not_read_through_a_proxy(proxied: Service, upstream: Upstream, phone: str) -> None:
    upstream.script.append(up.endless)
    answer = proxied.send(phone)
    assert refusal(answer)[0] in (502, 504)
    assert seconds(answer) < SOON
    assert len(upstream.requests) == 1


def test_thirty_sends_at_once_send_one_sms_each(
    start: Start, database: redis.Redis, infobip_by_tls: TlsProxy, proxy: ConnectProxy, upstream: Upstream
) -> None:
    proxied = behind(start, infobip_by_tls, proxy, "10s")  # 30 handshakes take a busy machine more than a second
    phones = [f"+49157{n}" for n in range(70000000, 70000030)]
    with ThreadPoolExecutor(30) as pool:
        assert {answer.status_code for answer in pool.map(proxied.send, phones)} == {200}
    assert sorted(body["to"] for _, _, body in upstream.requests) == phones


@pytest.mark.parametrize("certificate", ["strangers", "for another host", "nobody's"])
def test_a_certificate_that_is_not_trusted_is_refused(
    start: Start, database: redis.Redis, infobip_by_tls: TlsProxy, upstream: Upstream, tmp_path: Path, certificate: str
) -> None:
    """INFOBIP_CA has another issuer, the certificate is for another host, or there is no INFOBIP_CA."""
    host, ca = "localhost", infobip_by_tls.authority
    if certificate == "strangers":
        ca = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(ca))
    if certificate == "for another host":
        host = "127.0.0.1"
    given = {} if certificate == "nobody's" else {"INFOBIP_CA": str(ca)}
    service = start(f"https://{host}:{infobip_by_tls.port}", INFOBIP_TIMEOUT="1s", **given)
    assert refusal(service.send("+14155552671")) == UNAVAILABLE
    assert upstream.requests == []


def test_environment_variables_of_other_programs_are_ignored(
    start: Start, database: redis.Redis, infobip_by_tls: TlsProxy, proxy: ConnectProxy, phone: str, tmp_path: Path
) -> None:
    """They set no proxy, no certificate authority, and no file for the keys of TLS connections."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    nowhere = f"http://127.0.0.1:{free_port()}"
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy")
    given = dict.fromkeys(names, nowhere)
    given |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), str(other))
    url = f"https://localhost:{infobip_by_tls.port}"
    keys = tmp_path / "tls-keys"
    given["SSLKEYLOGFILE"] = str(keys)
    service = start(url, INFOBIP_CA=str(infobip_by_tls.authority), **given)
    assert service.send(phone).status_code == 200
    assert not keys.exists() or "CLIENT" not in keys.read_text(), "the keys of the connection"
    trusting = {name: str(infobip_by_tls.authority) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
    without_infobip_ca = start(url, **trusting)
    assert refusal(without_infobip_ca.send(phone)) in (UNAVAILABLE, (429, "too_many_requests"))
    assert proxy.heads == []


def test_a_deleted_ca_file_does_not_affect_a_new_worker(
    database: redis.Redis, infobip_by_tls: TlsProxy, redis_url: str, tmp_path: Path, phone: str
) -> None:
    """A worker that replaces another one uses the certificates that were read at the start."""
    settings = {"INFOBIP_BASE_URL": f"https://localhost:{infobip_by_tls.port}", "REDIS_URL": redis_url}
    ca = tmp_path / "mine.pem"
    ca.write_text(f"# von Jörg\n{infobip_by_tls.authority.read_text()}\n# Ende\n", encoding="latin-1")
    given = {**settings, "INFOBIP_CA": str(ca), "WEB_CONCURRENCY": "1"}
    with Service.started(tmp_path, given) as service:
        ca.unlink()
        (worker,) = service.workers()
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: service.workers() not in ([], [worker]))
        assert service.send(phone).status_code == 200


def test_commands_use_the_proxy(
    sandbox: Sandbox, database: redis.Redis, redis_url: str, proxy: ConnectProxy, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(f"http://{USER}:{ENCODED}@127.0.0.1:{proxy.port}\n")
    given = {"INFOBIP_PROXY_FILE": "url", "INFOBIP_ALLOW_HTTP": "true", "REDIS_URL": redis_url}
    command = CommandLine(tmp_path, INFOBIP_BASE_URL=sandbox.url, **ACCOUNT, **given)
    assert command.group is infobip
    shown = command.run("check")[1]
    assert "The API key is valid" in shown
    assert len(proxy.heads) > 0
    (tmp_path / "url").write_text(f"http://{USER}:wrong@127.0.0.1:{proxy.port}\n")
    shown = command.run("check")[1]
    assert "Infobip cannot be reached, or does not answer in time. Remedy: see INFOBIP_BASE_URL, INFOBIP_PROXY" in shown
    assert "wrong" not in shown


GIVEN = {"INFOBIP_BASE_URL": "x.api.infobip.com", "REDIS_URL": "redis://localhost", **ACCOUNT}


@pytest.mark.parametrize(
    "url",
    ["proxy.example.com", "http://proxy.example.com", "http://proxy:0", "http://proxy:65536", "http://proxy:x",
     "https://proxy:3128", "socks5://proxy:1080", "http://proxy:3128/path", "http://proxy:3128?x", "http://proxy:3128#x",
     "http://user:pa/secret@proxy:3128", "http://user:pa#secret@proxy:3128", "http://user:100%secret@proxy:3128",
     "http://:secret@proxy:3128", "http://user:secret@:3128", "http://pro xy:3128", "http://proxy:3128\n", "http://",
     "http://user:se cret@proxy:3128", "http://[::1:3128", "proxy:3128,other:3128"],
)  # fmt: skip
def test_an_invalid_proxy_url_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="INFOBIP_PROXY: must be like http://user:password@proxy") as raised:
        load_settings({**GIVEN, "INFOBIP_PROXY": url})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    ["http://proxy:3128", "proxy.example.com:1", "http://user@10.0.0.1:65535/", "http://user:p@ss:word@[::1]:3128",
     "http://user:%23%2f@proxy:3128"],
)  # fmt: skip
def test_a_valid_proxy_url_is_accepted(url: str) -> None:
    settings = load_settings({**GIVEN, "INFOBIP_PROXY": url})
    assert url not in repr(settings)


def test_a_proxy_needs_https_to_infobip_unless_http_is_allowed() -> None:
    given = {**GIVEN, "INFOBIP_BASE_URL": "http://localhost:3001", "INFOBIP_PROXY": "proxy:3128"}
    with pytest.raises(SettingsError, match="INFOBIP_PROXY: needs an INFOBIP_BASE_URL with https"):
        load_settings(given)
    assert load_settings({**given, "INFOBIP_ALLOW_HTTP": "true"})


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", "x"])
def test_an_invalid_ca_file_stops_the_start(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(SettingsError, match="INFOBIP_CA: must be a file of certificates in PEM"):
        load_settings({**GIVEN, "INFOBIP_CA": str(tmp_path / "ca.pem")})
