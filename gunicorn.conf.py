"""The production server: `gunicorn -c gunicorn.conf.py` is the whole start command."""

import gc
import logging
import os
import resource
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import gevent
from gevent import monkey

monkey.patch_all()  # before anything else takes the unpatched socket, ssl or threading
sys.path.insert(0, str(Path(__file__).parent))

from config import CONCURRENCY, SettingsError, load_settings, misread_settings  # noqa: E402
from otp.server import settings_reload  # noqa: E402
from otp.telemetry import metrics_server  # noqa: E402

try:
    # Read here, once for all workers: a bad setting ends the start, and later changes of .env take effect only with a
    # SIGHUP.
    settings = settings_reload.settings_from(load_settings)
except SettingsError as e:
    sys.exit(str(e))
if settings.metrics_port:
    metrics_server.prepare()

# Loaded here in the master: the workers share its memory.
from app import account, create_app  # noqa: E402
from cli.account_check.differences import log_differences  # noqa: E402
from cli.redis_checks import log_diagnosis  # noqa: E402
from otp import VERSION  # noqa: E402
from otp.server.heads import LONGEST_FIELD, MOST_FIELDS  # noqa: E402
from otp.server.worker import Worker, announce_end  # noqa: E402
from otp.setting_sources import ENV_FILE  # noqa: E402
from otp.telemetry import logs, tracing  # noqa: E402
from otp.web import client_ip  # noqa: E402

wsgi_app = "app:create_app()"  # which the workers call with the settings of the master: see ServiceWorker
bind = f"[{settings.bind}]:{settings.port}"  # brackets are for IPv6, and no harm to IPv4
workers = settings.web_concurrency
# Each client connection is an open file, and so is its call to Infobip. Many systems allow 1024 by default. If no more
# are allowed, fewer clients are accepted, and all of them can be served.
OTHER_FILES = 500  # of Redis, logs, metrics, look-ups
wanted = 2 * CONCURRENCY + 1000  # with room for requests that do not wait for Infobip
files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
files = max(files, min(most, 2 * wanted + OTHER_FILES))
resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
worker_connections = min(wanted, max(files - OTHER_FILES, files // 2) // 2)

# Limits of a head and of trailers: twice what proxies add; an endless head costs 16 KiB.
limit_request_line = limit_request_field_size = LONGEST_FIELD
limit_request_fields = MOST_FIELDS

# The scheme and path that clients or proxies claim are ignored: without this, an X-Forwarded-Proto and an
# X-Forwarded-Ssl that disagree make gunicorn answer 400 to everything.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
header_map = "drop"  # X_Forwarded_For would be read as X-Forwarded-For

# No handler may be killed after its SMS went out: a stopping worker waits longer than any call takes.
graceful_timeout = int(settings.infobip_timeout + settings.challenge_deadline) + 5
timeout = graceful_timeout + 15

control_socket_disable = True

logs.configure(settings.log_format, settings.log_level)
logger_class = logs.GunicornLogger


def first_that_takes_files(*folders: str) -> str:
    """The first of `folders` in which a file can be made."""
    for folder in folders:
        with suppress(OSError), tempfile.TemporaryFile(dir=folder):
            return folder
    sys.exit(f"None of {', '.join(folders)} can be written: the master detects live workers by a file there.")


# In memory, wherever that is: /tmp may be full, or on a slow disk.
worker_tmp_dir = first_that_takes_files("/dev/shm", os.environ.get("TMPDIR", "/tmp"), "/var/tmp", str(Path.cwd()))


class ServiceWorker(Worker):
    """Serves with the settings above."""

    def load_wsgi(self) -> None:
        """Create the application in the worker."""
        self.wsgi = create_app(settings)


worker_class = ServiceWorker


def on_starting(_: object) -> None:
    """Log version and settings, once per start, in the master."""
    logging.getLogger("otp").info("start", extra={"version": VERSION, "settings": settings.for_log()})
    warn()


def when_ready(server: object) -> None:
    """Prepare what workers share, reloads and metrics in the master, once it listens."""
    announce_end(server)
    client_ip.share_warnings()
    settings_reload.check_reloads(server, load_settings, settings, Path(ENV_FILE))
    if settings.metrics_port:
        metrics_server.serve(settings.bind, settings.metrics_port)
    freeze()


def on_reload(_: object) -> None:
    """Log the new settings in the master after a SIGHUP with valid settings."""
    logging.getLogger("otp").info("reload", extra={"settings": settings.for_log()})
    warn()
    freeze()


def warn() -> None:
    """Log a warning for each weak or ignored setting."""
    for sentence in (*settings.warnings(), *misread_settings()):
        logging.getLogger("otp").warning(sentence)


def freeze() -> None:
    """Exclude existing objects from garbage collection, so that workers share their memory."""
    gc.collect()
    gc.freeze()


def post_fork(_: object, __: Worker) -> None:
    """Open the new worker's metric files."""
    if settings.metrics_port:
        metrics_server.begin_worker()


def child_exit(_: object, worker: Worker) -> None:
    """Keep the counts of an ended worker, in the master."""
    if settings.metrics_port:
        metrics_server.end_worker(worker.pid)


def post_worker_init(worker: Worker) -> None:
    """Start tracing, and check account and Redis once per start."""
    tracing.set_up()
    freeze()
    gc.set_threshold(20_000, 20, 20)
    if worker.age == 1:  # once per start, in the background
        gevent.spawn(log_diagnosis, settings)
        gevent.spawn(lambda: log_differences(account(settings), settings))
