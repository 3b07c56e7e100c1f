"""A Debian host with Docker, in namespaces of its own, without a registry or a network. At its end, nothing of it runs.

Its file system, with all images, is kept between runs. `python -m tests.support.docker` makes it once, in minutes.
"""

import ctypes
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.command import eventually
from tests.support.running import ROOT

# It has Docker 26 and Compose 2.26, and Python 3.13, Redis 8 and nginx, of which stand_ins.Dockerfile makes images.
SUITE = "trixie"
DOCKER = ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "iptables", "iproute2", "make", "curl")
IMAGES = ("python3", "python3-pip-whl", "redis-server", "nginx-light", "wget", "ca-certificates", "procps")
ONLY_DOCKER = (
    "usr/bin/docker*",
    "usr/bin/containerd*",
    "usr/bin/runc",
    "usr/sbin/runc",
    "usr/sbin/docker*",
    "usr/libexec/docker",
    "srv",
    "var/lib/docker",
    "var/lib/apt",
    "var/cache",
    "usr/share/doc",
    "usr/share/locale",
)
COMMANDS = ("debootstrap", "unshare", "nsenter", "setpriv")
NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts")
SUPPORT = Path(__file__).parent
LEFT_OUT = " ".join(f"--exclude=./{path}" for path in ONLY_DOCKER)
STAND_INS = SUPPORT / "stand_ins.Dockerfile"
LONGEST = 1200  # seconds for one step, when nothing has been kept yet
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", ".hypothesis", ".coverage*", ".env")


class Unavailable(Exception):  # noqa: N818  it is a reason to skip, not an error
    """Docker cannot run here; the message says why."""


class Namespace:
    """A network namespace that a thread of this process can enter."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def entered(self) -> Iterator[None]:
        """In the block, the connections of this thread are made in the namespace."""
        with _open(f"/proc/self/task/{threading.get_native_id()}/ns/net") as before, _open(self._path) as there:
            _enter(there)
            try:
                yield
            finally:
                _enter(before)


@contextmanager
def _open(path: Path | str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, 0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


class DockerHost:
    """A running host. Its /srv/otp is a copy of the repository, which the tests find in `repository`."""

    def __init__(self, pid: int, repository: Path) -> None:
        self._pid = pid
        self.repository = repository
        self.inside = Namespace(Path(f"/proc/{pid}/ns/net"))
        self.clients = Namespace(Path(f"/proc/{pid}/root/run/netns/clients"))

    def run(self, script: str, seconds: float = 300) -> str:
        """Run `script` as root in /srv/otp. Return its output; raise AssertionError if one of its commands fails."""
        entered = ["nsenter", f"--target={self._pid}", *NAMESPACES]
        shell = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "bash", "-euo", "pipefail", "-c"]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        ran = subprocess.run(
            [*entered, *shell, f"cd /srv/otp\n{script}"], **pipes, text=True, timeout=seconds, check=False
        )  # type: ignore[call-overload]
        assert ran.returncode == 0, f"{script}\n{ran.stdout}"
        return str(ran.stdout)


@contextmanager
def docker_host(directory: Path) -> Iterator[DockerHost]:
    """Start a host, with the images that the repository's files name; its /srv/otp is below `directory`.

    Only one runs at a time: others wait for its end. Raises Unavailable.
    """
    _check()
    repository = Path(shutil.copytree(ROOT, directory / "otp", ignore=NOT_COPIED))
    with _cache() as cache:
        root = _debian(cache)
        with _daemon(root, repository, cache / "dockerd.log") as pid:
            host = DockerHost(pid, repository)
            _make_images(root, host)
            yield host
            host.run("docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes")
            host.run("docker image prune --force && docker builder prune --force --keep-storage 2GB")


def _check() -> None:
    if os.geteuid():
        raise Unavailable("no Docker: only root may start a daemon")
    for command in COMMANDS:
        if not shutil.which(command):
            raise Unavailable(f"no Docker: no {command}; on Debian: apt install debootstrap util-linux")
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise Unavailable(f"no Docker: no namespaces: {tried.stderr.strip()}")


@contextmanager
def _cache() -> Iterator[Path]:
    """Lock the folder that is kept, and return it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infobip-otp-docker"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache


def _debian(cache: Path) -> Path:
    """Return the root of the host's file system; make it if it is not there."""
    packages = ",".join((*DOCKER, *IMAGES))
    root = cache / f"{SUITE}-{_digest(packages)}"
    if not root.exists():
        for old in cache.glob(f"{SUITE}[-.]*"):
            shutil.rmtree(old)
        command = ["unshare", "--pid", "--fork", "--kill-child", "debootstrap", "--variant=minbase"]
        new = cache / f"{SUITE}.new"
        with _step(f"Debian {SUITE} with Docker, in {root}"):
            _run([*command, f"--include={packages}", SUITE, str(new)], DPKG_FORCE="unsafe-io")
        new.rename(root)
    return root


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Print how long the step takes."""
    sys.stdout.write(f"{what} ... ")
    sys.stdout.flush()
    began = time.monotonic()
    yield
    sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")


def _run(command: list[str], **environment: str) -> None:
    """Run the command. Raises Unavailable if it fails, mostly because a mirror of Debian or PyPI cannot be reached."""
    given = {**os.environ, **environment}
    limited = ["timeout", str(LONGEST), *command]
    ran = subprocess.run(limited, env=given, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Unavailable(f"no Docker: {' '.join(command)[:200]}: {(ran.stdout + ran.stderr).strip()[-500:]}")


def _requirements(repository: Path) -> str:
    """Return what the Dockerfile installs, and uv, which installs it."""
    said = (repository / "Dockerfile").read_text()
    names = sorted(set(re.findall(r"requirements[\w/.-]*\.txt", said)))
    uv = re.findall(
        r"^uv==.*?(?=\n    #)", (repository / "requirements/tools.txt").read_text(), re.MULTILINE | re.DOTALL
    )
    return "\n".join([*((repository / name).read_text() for name in names), *uv])


def _make_images(root: Path, host: DockerHost) -> None:
    """Make the images, unless they are there and up to date."""
    context, requirements = root / "srv/images", _requirements(host.repository)
    files = [host.repository / "Dockerfile", *host.repository.glob("**/*compose*.yml")]
    names = sorted(
        {name for file in files for name in re.findall(r"\b(?:python|redis|nginx):[\w.-]+", file.read_text())}
    )
    made = _digest(f"{names}{STAND_INS.read_text()}{requirements}")
    if (context / made).exists():
        return
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    (context / "requirements.txt").write_text(requirements)
    with _step("The packages of the service"):
        _run([*_pip(root), *_download(context)])
    shutil.copy(STAND_INS, context / "Dockerfile")
    with _step("The images that its image and the other containers are made of"), _unavailable():
        host.run(f"tar -C / --one-file-system {LEFT_OUT} -c . | docker import - docker-host", LONGEST)
        for name in names:
            host.run(f"docker build --target {name.partition(':')[0]} --tag {name} /srv/images", LONGEST)
    (context / made).touch()


@contextmanager
def _unavailable() -> Iterator[None]:
    """Raise Unavailable for a failure in the block: a kernel or a container forbids what it does."""
    try:
        yield
    except AssertionError as e:
        raise Unavailable(f"no Docker: {str(e)[-500:]}") from e


def _pip(root: Path) -> list[str]:
    """Return the pip of the host's Debian: the Python of the tests may have none."""
    (wheel,) = root.glob("usr/share/python-wheels/pip-*.whl")
    return [sys.executable, f"{wheel}/pip"]


def _download(context: Path) -> list[str]:
    """Return the arguments that download packages for the Python of the host."""
    machine = platform.machine()
    tags = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 42))]
    platforms = [f"--platform={tag}_{machine}" for tag in tags]
    target = ["--python-version=3.13", "--implementation=cp", *platforms, "--only-binary=:all:", "--no-deps"]
    return ["download", "--quiet", *target, f"--dest={context}/wheels", f"--requirement={context}/requirements.txt"]


@contextmanager
def _daemon(root: Path, repository: Path, log: Path) -> Iterator[int]:
    """Start dockerd and return its pid, which is the host's first process."""
    namespaces = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "--fork", "--kill-child=KILL"]
    command = [*namespaces, str(SUPPORT / "docker_host.sh"), str(root), str(repository)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        eventually(lambda: process.poll() is not None or "API listen on" in log.read_text())
        if process.poll() is not None:
            raise Unavailable(f"no Docker: the daemon does not start: {log.read_text().strip()[-500:]}")
        (first,) = psutil.Process(process.pid).children()
        yield first.pid
        first.terminate()
        process.wait(60)
    finally:
        process.kill()
        process.wait()


def main() -> str:
    """Make the file system and the images. Return the versions of Docker and Compose, or why there are none."""
    try:
        with tempfile.TemporaryDirectory() as directory, docker_host(Path(directory)) as host:
            return host.run("docker version --format 'Docker {{.Server.Version}}'; docker compose version")
    except Unavailable as e:
        return f"SKIPPED: tests/server/test_compose.py: {e}\n"


if __name__ == "__main__":
    sys.stdout.write(main())
