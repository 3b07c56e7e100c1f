"""The image without Docker: a tree as the Dockerfile lays it out, for the Python of the tests, and its commands."""

import compileall
import json
import re
import shutil
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import IO

from tests.support.running import ROOT

DOCKERFILE = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text())
STAGES = dict(re.findall(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM )", DOCKERFILE, re.MULTILINE | re.DOTALL))
VARIANTS = [name for name in STAGES if name != "builder"]
LET_IN = re.findall("^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)


class Image:
    """`app` and `venv` below `root`, which become read-only when they are complete, and a `tmp` next to them.

    Args:
        root: an empty directory.
        variant: the build argument VARIANT.
    """

    def __init__(self, root: Path, variant: str = "service") -> None:
        self.variant = variant
        self.app, self._venv, self._tmp = root / "app", root / "venv", root / "tmp"
        self._tmp.mkdir()
        _copy_code(self.app)
        _make_venv(self._venv, ROOT / ("requirements.txt" if variant == "service" else f"requirements/{variant}.txt"))
        _protect(self.app)
        _protect(self._venv)
        self._made = self._files()

    def start_command(self) -> list[str]:
        return list(json.loads(self._instructions("CMD")[-1]))

    def health_check(self) -> list[str]:
        return list(json.loads(self._instructions("HEALTHCHECK")[-1].partition(" CMD ")[2]))

    def stop_signal(self) -> str:
        return self._instructions("STOPSIGNAL")[-1]

    @contextmanager
    def started(self, command: list[str], output: IO[bytes], **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Start `command` as a container's only process; it ends with the block."""
        process = subprocess.Popen(
            self._found(command), cwd=self.app, env=self._environment(settings), stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def run(self, command: list[str], **settings: str) -> int:
        """Run a command that ends, such as a health check. Return its exit code."""
        environment = self._environment(settings)
        process = subprocess.run(
            self._found(command), cwd=self.app, env=environment, capture_output=True, timeout=30, check=False
        )
        return process.returncode

    def new_files(self) -> set[Path]:
        """Return the files that the image does not have."""
        return self._files() - self._made

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        said = dict(re.findall(r"(\w+)=(\S+)", " ".join(self._instructions("ENV"))))
        return {**said, "PATH": str(self._venv / "bin"), "TMPDIR": str(self._tmp), **settings}

    def _found(self, command: list[str]) -> list[str]:
        return [str(self._venv / "bin" / command[0]), *command[1:]]

    def _instructions(self, name: str) -> list[str]:
        """Return the arguments of `name` in the stage of the service, and in the one that the variant adds."""
        stages = dict.fromkeys(("service", self.variant))
        return [each for stage in stages for each in re.findall(f"^{name} (.*)$", STAGES[stage], re.MULTILINE)]

    def _files(self) -> set[Path]:
        return {path for root in (self.app, self._venv) for path in root.rglob("*")}


def _copy_code(app: Path) -> None:
    """Copy what the lines after `WORKDIR /app` name."""
    for line in re.findall("^COPY (?!--)(.*)$", STAGES["builder"].partition("\nWORKDIR /app\n")[2], re.MULTILINE):
        *patterns, there = line.split()
        for source in (source for pattern in patterns for source in _sources(pattern)):
            if source.is_dir():
                shutil.copytree(source, app / there, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (app / there).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, app / there)
    compileall.compile_dir(app, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)


def _sources(pattern: str) -> list[Path]:
    """Return the files that .dockerignore lets in. Like Docker, fail if there are none."""
    found = ROOT.glob(pattern.rstrip("/"))
    sources = [path for path in found if any(fnmatch(path.name, let_in) for let_in in LET_IN)]
    assert sources, f"COPY {pattern} finds nothing"
    return sources


def _make_venv(directory: Path, requirements: Path) -> None:
    """Make an environment with the packages of `requirements`, as links to the packages of the tests.

    Both have the same versions. Installing them again would take 20 seconds, and an index of packages.
    """
    venv.create(directory, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)}))
    (unused,) = re.findall(r"/phonenumbers && rm -r ([\w ]+) ", DOCKERFILE)
    left_out = tuple(f"phonenumbers/{name}/" for name in unused.split())
    for distribution in _distributions(requirements):
        for file in distribution.files or ():
            if not {"..", "__pycache__"} & {*file.parts} and not str(file).startswith(left_out):
                _link_module(Path(str(distribution.locate_file(file))).resolve(), packages / file)
    gunicorn = Path(sysconfig.get_path("scripts"), "gunicorn").read_text().partition("\n")[2]
    script = directory / "bin/gunicorn"
    script.write_text(f"#!{directory}/bin/python\n{gunicorn}")
    script.chmod(0o755)
    (check,) = re.findall(r"printf '#!/venv(.*)' +> /venv/bin/check", DOCKERFILE)
    script = directory / "bin/check"
    script.write_text(f"#!{directory}" + check.replace("\\n", "\n"))
    script.chmod(0o755)


def _link_module(source: Path, link: Path) -> None:
    """Link the module and its bytecode, which the image has as well."""
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(source)
    if source.suffix == ".py":
        compileall.compile_file(source, quiet=2)
        bytecode = Path(cache_from_source(str(source)))
        if bytecode.exists():  # some packages bring templates of modules, which do not compile
            _link_module(bytecode, link.parent / "__pycache__" / bytecode.name)


def _distributions(requirements: Path) -> Iterator[metadata.Distribution]:
    """Yield the distributions for this Python: those for others have a condition, and are not installed."""
    for name, condition in re.findall(r"^([\w.-]+)==\S+( ;)?", requirements.read_text(), re.MULTILINE):
        try:
            yield metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if not condition:
                raise


def _protect(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
