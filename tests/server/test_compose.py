"""The stack of docs/deploy.md, by its commands, on a real Docker: people who log in do not see what is done to it."""

import re
import time
from collections.abc import Iterator

import pytest
import requests

from tests.support.command import eventually
from tests.support.docker import DockerHost, Unavailable, docker_host
from tests.support.login_load import LoginLoad, Person
from tests.support.running import ROOT

URL, URL_6 = "http://10.98.0.1:3000", "http://[fd98::1]:3000"  # of the host, as clients see it
COMPOSE = (ROOT / "docs/deploy.md").read_text().partition("\n## Docker Compose\n")[2].partition("\n## ")[0]
START, UPDATE, SCALE = re.findall(r"^```sh\n(.*?)^```$", COMPOSE, re.MULTILINE | re.DOTALL)
# The sandbox is Infobip, in a container that no command of the page touches.
SETTINGS = {
    "INFOBIP_BASE_URL": "http://infobip:3001",
    "INFOBIP_ALLOW_HTTP": "true",
    "INFOBIP_API_KEY": "sandbox-api-key",
    "INFOBIP_2FA_APP_ID": "sandbox-application",
    "INFOBIP_2FA_MSG_ID": "sandbox-message",
}
UNWRITTEN = 3  # seconds; where the disk is busy, Redis writes its file two seconds late (appendfsync everysec)
AWAY = 5  # seconds in which the service is back when Redis is
REDIS = "docker compose ps --quiet redis"
FEWEST = 5  # people who begin while something is done, on a machine that has much else to do


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerHost]:
    try:
        with docker_host(tmp_path_factory.mktemp("docker")) as host:
            yield host
    except Unavailable as e:
        pytest.skip(str(e))


@pytest.fixture(scope="module")
def deployed(host: DockerHost) -> DockerHost:
    """With the stack running, as a person starts it for the first time."""
    host.run("docker image ls --quiet 'otp-*' | xargs --no-run-if-empty docker image rm --force")
    copy, *rest = START.splitlines(keepends=True)
    host.run(copy)
    change(host, **SETTINGS)
    host.run("".join(rest), seconds=900)
    host.run("docker compose up --detach --wait infobip")
    host.run("curl --silent --fail --retry 60 --retry-all-errors --retry-delay 1 http://127.0.0.1:3000/readyz")
    return host


@pytest.fixture
def load(deployed: DockerHost) -> LoginLoad:
    return LoginLoad(deployed, URL)


def change(host: DockerHost, **settings: str) -> None:
    """Edit `.env`."""
    path = host.repository / ".env"
    text = path.read_text()
    for name, value in settings.items():
        text, lines = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        assert lines == 1, name
    path.write_text(text)


def scale(host: DockerHost, number: int) -> None:
    assert SCALE.count("REPLICAS=5") == 1
    host.run(SCALE.replace("REPLICAS=5", f"REPLICAS={number}"))
    eventually(lambda: len(replicas(host)) == number)


def replicas(host: DockerHost) -> list[str]:
    """The containers that run and are healthy."""
    filters = ["label=com.docker.compose.service=api", "health=healthy"]
    return host.run(f"docker ps --quiet --no-trunc --filter {' --filter '.join(filters)}").split()


def nobody_saw_it(load: LoginLoad) -> None:
    assert load.failed() == []
    assert load.during >= FEWEST


def test_an_update_of_a_setting(deployed: DockerHost, load: LoginLoad) -> None:
    before = replicas(deployed)
    change(deployed, RESEND_COOLDOWN="31s")
    with load.running():
        deployed.run(UPDATE)
        with deployed.clients.entered():
            assert load.person().send().body["resendIn"] == 31
    nobody_saw_it(load)
    assert not set(before) & set(replicas(deployed))


def test_a_bad_setting_changes_nothing(deployed: DockerHost, load: LoginLoad) -> None:
    before = replicas(deployed)
    change(deployed, PIN_ATTEMPTS="0")
    with load.running(), pytest.raises(AssertionError, match="PIN_ATTEMPTS"):
        deployed.run(UPDATE)
    change(deployed, PIN_ATTEMPTS="5")
    nobody_saw_it(load)
    assert set(before) == set(replicas(deployed))


def test_more_replicas_and_fewer(deployed: DockerHost, load: LoginLoad) -> None:
    with load.running():
        for number in (3, 5, 2):
            scale(deployed, number)
    nobody_saw_it(load)


def test_to_start_it_again_changes_nothing(deployed: DockerHost, load: LoginLoad) -> None:
    (up,) = re.findall("^docker compose up.*$", START, re.MULTILINE)
    scale(deployed, 3)
    before = replicas(deployed)
    with load.running():
        deployed.run(up)
    nobody_saw_it(load)
    assert set(before) == set(replicas(deployed))


def test_a_replica_that_is_stopped(deployed: DockerHost, load: LoginLoad) -> None:
    with load.running():
        deployed.run(f"docker stop {replicas(deployed)[0]}")
        time.sleep(2)
        deployed.run("docker compose up --detach")
    nobody_saw_it(load)


def test_a_crash_of_redis(deployed: DockerHost, load: LoginLoad) -> None:
    """What was sent before is verified after. What is asked in between is refused, and nothing is sent."""
    waiting = [load.person() for _ in range(20)]
    assert all([load.get_pin(person) for person in waiting])
    commands = r"printf 'INCR written\nWAITAOF 1 0 60000\n'"
    assert deployed.run(f"{commands} | docker exec --interactive $({REDIS}) redis-cli").split()[1] == "1"
    with load.running():
        killed = time.monotonic()
        deployed.run(f"kill -KILL $(docker inspect --format '{{{{.State.Pid}}}}' $({REDIS}))")
        died = time.monotonic()  # at the latest
        eventually(lambda: "PONG" in deployed.run(f"docker exec $({REDIS}) redis-cli ping || true"))
        back = time.monotonic()
        time.sleep(AWAY)
    for person in waiting:
        load.use_pin(person)
    assert [person.phone for person in waiting if person.answers[-1].status != 200] == []
    for failed in [answer for person in load.people if not caught(person, killed, died) for answer in person.failed()]:
        assert failed.status == 503
        assert died < failed.ended
        assert failed.began < back + AWAY
    refused = [p for p in load.people if p.answers[0].status == 503 and p.answers[0].began > died]
    assert [person.phone for person in refused if load.pins(person)] == []


def caught(person: Person, killed: float, died: float) -> bool:
    """Whether Redis died during or just after a request of hers: nobody can know what it kept of that."""
    return any(answer.began < died and killed < answer.ended + UNWRITTEN for answer in person.answers)


def test_clients_are_told_apart_and_none_comes_by_ipv6(deployed: DockerHost) -> None:
    """By IPv6, Docker would give all of them one address, and so one limit."""
    with deployed.clients.entered():
        assert requests.get(URL, timeout=5).status_code == 200
        with pytest.raises(requests.ConnectionError):
            requests.get(URL_6, timeout=5)
