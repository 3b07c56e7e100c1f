"""The operator's command line: `flask infobip ...`, `flask guard ...` and `flask proof ...`.

Flask finds it by FLASK_APP in .flaskenv. It is not the service's own application, which takes all of its settings:
`flask infobip setup` runs before they are known.
"""

import logging

from flask import Flask
from gevent import get_hub, monkey


def create_app() -> Flask:
    """An application with commands and nothing else. Called by Flask in the process of the command."""
    monkey.patch_all()  # before `requests` is loaded: the deadlines of calls take it
    hub = get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)  # a Ctrl-C while a call waits shall not be printed
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its lines quote URLs, and with them pinIds

    from cli.guard import guard  # noqa: PLC0415
    from cli.infobip import infobip  # noqa: PLC0415
    from cli.proof import proof  # noqa: PLC0415

    app = Flask(__name__, static_folder=None)
    app.cli.add_command(guard)
    app.cli.add_command(infobip)
    app.cli.add_command(proof)
    return app
