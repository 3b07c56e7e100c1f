"""The operator's command line, in a directory of its own."""

import gc
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

import click
from click.testing import CliRunner

from cli.infobip import infobip
from sandbox.authorization import API_KEY
from tests.support.forkserver import ForkedCommand, fork_server
from tests.support.running import ROOT

IDS = ("INFOBIP_2FA_APP_ID", "INFOBIP_2FA_MSG_ID")


class CommandLine:
    """Runs `flask infobip`, or another group, in `directory`, which may have a `.env`."""

    group: click.Group = infobip
    is_cold = False  # whether a process is a new Python, as people start it; it takes a second longer

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.env_file = directory / ".env"
        inherited = {k: v for k, v in os.environ.items() if k.startswith(("PATH", "COVERAGE", "HOME"))}
        here = {"FLASK_APP": "cli", "PYTHONPATH": str(ROOT), "INFOBIP_API_KEY": API_KEY}
        self.environment = {**inherited, **here, **environment}

    def start(self, *arguments: str, **environment: str) -> "ForkedCommand | subprocess.Popen[str]":
        """Start the command in a process of its own."""
        command, env = ["flask", str(self.group.name), *arguments], {**self.environment, **environment}
        if not self.is_cold:
            return fork_server(env).start_command(command, self.directory, env)
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.directory,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, typed: str = "", **environment: str) -> tuple[int, str]:
        """Return its exit code and output. gevent has not patched this process, so timeouts do not apply."""
        given = {**self.environment, **environment}
        with chdir(self.directory), patch.dict(os.environ, given, clear=True), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # a command leaves its sockets open, for its process ends
            ended = CliRunner().invoke(self.group, arguments, input=typed)
            gc.collect()
        if not isinstance(ended.exception, SystemExit | None):
            raise ended.exception
        return ended.exit_code, ended.output

    def run_process(self, *arguments: str, typed: str = "", **environment: str) -> tuple[int, str]:
        """Run the command in a process of its own, as people do."""
        with self.start(*arguments, **environment) as process:
            try:
                said, _ = process.communicate(typed, timeout=60)
            finally:
                process.kill()
        assert "Traceback" not in said
        assert "KeyboardInterrupt" not in said
        return process.wait(60), said

    def ids(self) -> tuple[str, str]:
        """Return the two ids in its `.env`."""
        lines = dict(line.split("=", 1) for line in self.env_file.read_text().splitlines() if "=" in line)
        return lines[IDS[0]], lines[IDS[1]]


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for the condition. The bound only ends a test that hangs; the tests of timeouts measure these themselves."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
