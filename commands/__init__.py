"""The operator's command line: `flask infobip ...`.

Flask finds it by FLASK_APP in .flaskenv. It is not the service's own application, which takes all of its settings:
`flask infobip setup` runs before they are known.
"""

import logging
import signal

from flask import Flask
from gevent import monkey


def create_app() -> Flask:
    """An application with commands and nothing else. Called by Flask in the process of the command."""
    monkey.patch_all()  # before `requests` is loaded: the deadlines of calls take it
    # gevent would otherwise print a traceback of a Ctrl-C that comes while a call waits.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its lines quote URLs, and with them pinIds

    from commands.infobip import infobip  # noqa: PLC0415

    app = Flask(__name__, static_folder=None)
    app.cli.add_command(infobip)
    return app
