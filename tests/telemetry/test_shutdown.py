"""The end of a process: its steps run in their order, whichever was added first, and a failure stops no other."""

import subprocess
import sys

from otp.shutdown import Step
from tests.support.running import ROOT

ENDING = """
import logging
import sys
from functools import partial
from otp import shutdown
logging.basicConfig(format="%(message)s %(step)s %(error)s")
for step in reversed(shutdown.Step):
    shutdown.add(step, partial(print, step.name))
    shutdown.add(step, lambda: 1 / 0)
    shutdown.add(step, sys.exit)
shutdown.add(shutdown.Step.FINISH_REDIS_WRITES, lambda: shutdown.add(shutdown.Step.SEND_ALERTS, lambda: print("late")))
"""


def test_the_steps_run_in_their_order() -> None:
    ran = subprocess.run([sys.executable, "-c", ENDING], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [step.name for step in Step]
    assert names.index("FLUSH_REQUEST_LOG") < names.index("WRITE_LOG_LINES"), "what is logged is written afterwards"
    at = names.index("SEND_ALERTS") + 1
    assert ran.stdout.split() == [*names[:at], "late", *names[at:]]
    errors = ("ZeroDivisionError", "SystemExit")
    assert ran.stderr.splitlines() == [f"shutdown_failed {name.lower()} {error}" for name in names for error in errors]
