"""The process of the sandbox.

python -m sandbox.server        SANDBOX_HOST (127.0.0.1), SANDBOX_PORT (3001), SANDBOX_NAMES (its names in addition to
                                localhost, with commas), SANDBOX_PIN (of all messages, for tests), DELIVERY_REPORTS_URL
                                (where reports are posted; nowhere), the switches of sandbox/quirks.py,
                                and for the page SERVICE_URL (http://127.0.0.1:3000) and the service's own settings
"""

if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()

import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask
from gevent.pywsgi import WSGIHandler, WSGIServer

from sandbox import hosts
from sandbox.api import create_api
from sandbox.faults import CONNECTION
from sandbox.inbox import Inbox
from sandbox.model import Application, Configuration, EmailTemplate, Template
from sandbox.pins import Message
from sandbox.quirks import Quirks
from sandbox.relay import Relay
from sandbox.report_poster import ReportPoster
from sandbox.siteverify import add_siteverify
from sandbox.two_factor import TwoFactor

APPLICATION_ID = "sandbox-application"
MESSAGE_ID = "sandbox-message"
EMAIL_MESSAGE_ID = "sandbox-email-message"


class Handler(WSGIHandler):  # type: ignore[misc]
    """Gives the application access to the client's socket, so that a fault can reset the connection."""

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment of a request."""
        return {**super().get_environ(), CONNECTION: self.socket}


def create_app(
    two_factor: TwoFactor, relay: Relay, report_poster: ReportPoster, names: frozenset[str] = frozenset()
) -> Flask:
    """Infobip's API and the phones; they answer to the host names localhost and `names`."""
    app = create_api(two_factor, report_poster, names)
    Inbox(two_factor, relay).register(app)
    add_siteverify(app)
    return app


def make_server(address: tuple[str, int], app: Callable[..., Any]) -> WSGIServer:
    """A server that listens for `app`. Responses are sent without delay (TCP_NODELAY), like Infobip's."""
    server = WSGIServer(address, app, log=None, error_log=sys.stderr, handler_class=Handler)
    server.init_socket()
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.start()
    return server


def account(environment: Mapping[str, str]) -> tuple[Application, Template, EmailTemplate]:
    """The application and the templates at the start, as `flask infobip setup` would create them.

    Their limits are high, so that people who try things out reach only the limits of the service.
    """
    given = {name: environment.get(name) or default for name, default in _DEFAULTS.items()}
    configuration = Configuration(
        pin_attempts=int(given["PIN_ATTEMPTS"]),
        pin_time_to_live=given["PIN_TIME_TO_LIVE"],
        allow_multiple_pin_verifications=False,
        verify_pin_limit="100/1s",
        send_pin_per_application_limit="1000000/1d",
        send_pin_per_phone_number_limit="10000000/1d",
    )
    pins = {"applicationId": APPLICATION_ID, "pinLength": given["PIN_LENGTH"], "pinType": given["PIN_TYPE"]}
    text = "{{pin}} is your verification code."
    return (
        Application(application_id=APPLICATION_ID, name="Sandbox", configuration=configuration),
        Template.model_validate({**pins, "messageId": MESSAGE_ID, "messageText": text}),
        EmailTemplate.model_validate({**pins, "messageId": EMAIL_MESSAGE_ID, "emailTemplateId": 1}),
    )


_DEFAULTS = {"PIN_ATTEMPTS": "5", "PIN_TIME_TO_LIVE": "10m", "PIN_LENGTH": "6", "PIN_TYPE": "NUMERIC"}


def _print(message: Message) -> None:
    print(f"{message.channel} to {message.pin.recipient}: {message.text}", flush=True)


def _app() -> Flask:
    """The application by the environment. Raises ValueError if a setting is wrong."""
    quirks = Quirks.from_environment(os.environ)
    two_factor = TwoFactor(deliver=_print, quirks=quirks, fixed_pin=os.environ.get("SANDBOX_PIN") or None)
    two_factor.applications.add(*account(os.environ))
    report_poster = ReportPoster.from_environment(os.environ, two_factor.now)
    return create_app(two_factor, Relay.from_environment(os.environ), report_poster, hosts.names(os.environ))


def main() -> None:
    """Serve until a signal stops the process."""
    try:
        address = hosts.address(os.environ)
        app = _app()
    except ValueError as e:
        sys.exit(f"The sandbox's settings are not right:\n{e}")
    try:
        make_server(address, app).serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)
    except OSError as e:
        sys.exit(f"The sandbox cannot listen on {address[0]}:{address[1]}: {e.strerror}.")


if __name__ == "__main__":
    main()
