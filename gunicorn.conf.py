"""The production server: `gunicorn -c gunicorn.conf.py` is the whole start command."""

import gc
import logging
import resource
import sys
from pathlib import Path

import gevent
from gevent import monkey

monkey.patch_all()  # before anything else takes the unpatched socket, ssl or threading
sys.path.insert(0, str(Path(__file__).parent))

from config import CONCURRENCY, SettingsError, load_settings  # noqa: E402
from telemetry import exposition  # noqa: E402

try:
    # Read here too: a bad setting ends the start. In a worker alone it would be restarted for ever.
    settings = load_settings()
except SettingsError as e:
    sys.exit(str(e))
if settings.metrics_port:
    exposition.prepare()

# Loaded here in the master: the workers share its memory.
import app  # noqa: E402, F401
from assembly import account  # noqa: E402
from infobip.comparison import log_differences  # noqa: E402
from otp.server.worker import Worker  # noqa: E402
from telemetry import logs, tracing  # noqa: E402
from telemetry.shown import shown  # noqa: E402
from version import VERSION  # noqa: E402

wsgi_app = "app:create_app()"
bind = f"0.0.0.0:{settings.port}"
workers = settings.web_concurrency
# A connection of a client is an open file, and so is the call to Infobip that it may wait for. Many systems allow 1024,
# unless one asks for more. Where they allow no more, fewer clients get in, and each of them can be served.
OTHER_FILES = 500  # of Redis, logs, metrics, look-ups
wanted = 2 * CONCURRENCY + 1000  # beside all that may wait for Infobip, there is room for what need not
files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
files = max(files, min(most, 2 * wanted + OTHER_FILES))
resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
worker_connections = min(wanted, max(files - OTHER_FILES, files // 2) // 2)

keepalive = 5  # seconds; also the time a client has for its headers

# No handler may be killed after its SMS went out: a stopping worker waits longer than any call takes.
graceful_timeout = int(settings.infobip_timeout) + 5
timeout = graceful_timeout + 15

control_socket_disable = True

logs.configure(settings)
logger_class = logs.GunicornLogger


worker_class = Worker


def on_starting(_: object) -> None:
    """Once a start, in the master."""
    logging.getLogger("otp").info("start", extra={"version": VERSION, "settings": shown(settings)})
    if not settings.named_keys():
        logging.getLogger("otp").warning("API_KEYS is not set: whoever reaches this service may have it send SMS.")


def when_ready(_: object) -> None:
    """Once a start, in the master, when it listens."""
    if settings.metrics_port:
        exposition.serve(settings.metrics_port)


def child_exit(_: object, worker: Worker) -> None:
    """In the master, after a worker has ended in whatever way."""
    if settings.metrics_port:
        exposition.forget(worker.pid)


def post_worker_init(worker: Worker) -> None:
    """What was made until now lives as long as the worker: no garbage collection needs to look at it again."""
    tracing.begin()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    if worker.age == 1:  # one look at a start, beside the requests
        gevent.spawn(lambda: log_differences(account(settings), settings))
