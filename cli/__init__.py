"""The operator's command line: `flask config`, `flask infobip`, `flask phone`, `flask guard` and `flask proof`.

Flask finds it by FLASK_APP in .flaskenv. It is not the service's own application, which needs all settings:
`flask infobip setup` runs before they are complete.
"""

import logging

from flask import Flask
from gevent import get_hub, monkey


def create_app() -> Flask:
    """An application that has only commands. Flask calls this in the process of the command."""
    monkey.patch_all()  # before `requests` is imported: the deadlines of calls need it
    hub = get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)  # gevent must not print a Ctrl-C during a call
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its lines quote URLs, which contain pinIds

    from cli.check_settings import config  # noqa: PLC0415
    from cli.guard import guard  # noqa: PLC0415
    from cli.infobip import infobip  # noqa: PLC0415
    from cli.phone import phone  # noqa: PLC0415
    from cli.proof import proof  # noqa: PLC0415

    app = Flask(__name__, static_folder=None)
    for group in (config, guard, infobip, phone, proof):
        app.cli.add_command(group)
    return app
