"""The Compose stack of docs/deploy.md, on a real Docker host: its updates, scaling and stops make no login fail."""

import re
import time
from collections.abc import Iterator

import pytest
import requests

from tests.support.command import eventually
from tests.support.docker import DockerHost, Unavailable, docker_host
from tests.support.login_load import LoginLoad, Person
from tests.support.running import ROOT

URL, URL_6 = "http://10.98.0.1:3000", "http://[fd98::1]:3000"  # the host's addresses as clients see them
COMPOSE = (ROOT / "docs/deploy.md").read_text().partition("\n## Docker Compose\n")[2].partition("\n## ")[0]
START, UPDATE, SCALE = re.findall(r"^```sh\n(.*?)^```$", COMPOSE, re.MULTILINE | re.DOTALL)
# The sandbox plays Infobip, in a container that no command of the page touches.
SETTINGS = {
    "INFOBIP_BASE_URL": "http://infobip:3001",
    "INFOBIP_ALLOW_HTTP": "true",
    "INFOBIP_API_KEY": "sandbox-api-key",
    "INFOBIP_2FA_APP_ID": "sandbox-application",
    "INFOBIP_2FA_MSG_ID": "sandbox-message",
}
UNWRITTEN = 3  # seconds of writes that a crash may lose: Redis writes late on a busy disk (appendfsync everysec)
AWAY = 5  # seconds that the service may take to recover after Redis has
REDIS = "docker compose ps --quiet redis"
FEWEST = 5  # logins that begin during an operation, even on a busy machine


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerHost]:
    try:
        with docker_host(tmp_path_factory.mktemp("docker")) as host:
            yield host
    except Unavailable as e:
        pytest.skip(str(e))


@pytest.fixture(scope="module")
def deployed(host: DockerHost) -> DockerHost:
    """The Docker host with the stack running, started by the commands for a first start."""
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
    """Change settings in the host's `.env` file."""
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
    """Return the ids of the service's healthy containers."""
    filters = ["label=com.docker.compose.service=api", "health=healthy"]
    return host.run(f"docker ps --quiet --no-trunc --filter {' --filter '.join(filters)}").split()


def assert_no_login_failed(load: LoginLoad) -> None:
    assert load.failed() == []
    assert load.during >= FEWEST


def test_no_login_fails_while_a_setting_is_changed(deployed: DockerHost, load: LoginLoad) -> None:
    before = replicas(deployed)
    change(deployed, RESEND_COOLDOWN="31s")
    with load.running():
        deployed.run(UPDATE)
        with deployed.clients.entered():
            assert load.person().send().body["resendIn"] == 31
    assert_no_login_failed(load)
    assert not set(before) & set(replicas(deployed))


def test_a_bad_setting_changes_nothing(deployed: DockerHost, load: LoginLoad) -> None:
    before = replicas(deployed)
    change(deployed, PIN_ATTEMPTS="0")
    with load.running(), pytest.raises(AssertionError, match="PIN_ATTEMPTS"):
        deployed.run(UPDATE)
    change(deployed, PIN_ATTEMPTS="5")
    assert_no_login_failed(load)
    assert set(before) == set(replicas(deployed))


def test_no_login_fails_while_the_service_is_scaled(deployed: DockerHost, load: LoginLoad) -> None:
    with load.running():
        for number in (3, 5, 2):
            scale(deployed, number)
    assert_no_login_failed(load)


def test_starting_the_stack_again_changes_nothing(deployed: DockerHost, load: LoginLoad) -> None:
    (up,) = re.findall("^docker compose up.*$", START, re.MULTILINE)
    scale(deployed, 3)
    before = replicas(deployed)
    with load.running():
        deployed.run(up)
    assert_no_login_failed(load)
    assert set(before) == set(replicas(deployed))


def test_no_login_fails_while_a_replica_is_stopped(deployed: DockerHost, load: LoginLoad) -> None:
    with load.running():
        deployed.run(f"docker stop {replicas(deployed)[0]}")
        time.sleep(2)
        deployed.run("docker compose up --detach")
    assert_no_login_failed(load)


def test_pins_survive_a_crash_of_redis(deployed: DockerHost, load: LoginLoad) -> None:
    """PINs sent before the crash can be verified after it. During the outage requests get 503 and no PIN is sent."""
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
    for failed in [answer for person in load.people if not was_hit(person, killed, died) for answer in person.failed()]:
        assert failed.status == 503
        assert died < failed.ended
        assert failed.began < back + AWAY
    refused = [p for p in load.people if p.answers[0].status == 503 and p.answers[0].began > died]
    assert [person.phone for person in refused if load.pins(person)] == []


def was_hit(person: Person, killed: float, died: float) -> bool:
    """Return whether Redis died during or just after a request of the person: its writes may be kept or lost."""
    return any(answer.began < died and killed < answer.ended + UNWRITTEN for answer in person.answers)


def test_clients_can_connect_by_ipv4_only(deployed: DockerHost) -> None:
    """Docker would give all IPv6 clients one address, so they would share one rate limit."""
    with deployed.clients.entered():
        assert requests.get(URL, timeout=5).status_code == 200
        with pytest.raises(requests.ConnectionError):
            requests.get(URL_6, timeout=5)
