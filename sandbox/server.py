"""The process of the sandbox.

python -m sandbox.server        SANDBOX_HOST (127.0.0.1), SANDBOX_PORT (3001), SANDBOX_NAMES (beside localhost, its own,
                                with commas), SANDBOX_PIN (everybody's, for tests), DELIVERY_REPORTS_URL
                                (who gets them; nobody), the switches of sandbox/quirks.py,
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
from sandbox.faults import CONNECTION
from sandbox.inbox import Inbox
from sandbox.infobip import create_api
from sandbox.model import Application, Configuration, EmailTemplate, Template
from sandbox.pins import Message
from sandbox.quirks import Choices
from sandbox.relay import Relay
from sandbox.report_poster import Reporter
from sandbox.two_factor import TwoFactor

APPLICATION_ID = "sandbox-application"
MESSAGE_ID = "sandbox-message"
EMAIL_MESSAGE_ID = "sandbox-email-message"


class Handler(WSGIHandler):  # type: ignore[misc]
    """Lets the application at the client's socket, so that a fault can cut it."""

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment of a request."""
        return {**super().get_environ(), CONNECTION: self.socket}


def create_app(two_factor: TwoFactor, relay: Relay, reporter: Reporter, names: frozenset[str] = frozenset()) -> Flask:
    """Everything the sandbox answers, to localhost and `names`: Infobip's API and the phones."""
    app = create_api(two_factor, reporter, names)
    Inbox(two_factor, relay).register(app)
    return app


def make_server(address: tuple[str, int], app: Callable[..., Any]) -> WSGIServer:
    """A server for `app`, listening. Answers leave at once (TCP_NODELAY), as Infobip's do."""
    server = WSGIServer(address, app, log=None, error_log=sys.stderr, handler_class=Handler)
    server.init_socket()
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.start()
    return server


def account(environment: Mapping[str, str]) -> tuple[Application, Template, EmailTemplate]:
    """The application and the templates that are there at the start, as `flask infobip setup` would make them.

    The limits are wide: a person who tries things out meets the service's and not these.
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
    to = message.pin.to if "@" in message.pin.to else f"+{message.pin.to}"
    print(f"{message.channel} to {to}: {message.text}", flush=True)


def _app() -> Flask:
    """By the environment. Raises ValueError where it is not right."""
    two_factor = TwoFactor(deliver=_print, choices=Choices(), fixed_pin=os.environ.get("SANDBOX_PIN") or None)
    two_factor.applications.add(*account(os.environ))
    reporter = Reporter.of(os.environ, two_factor.now)
    return create_app(two_factor, Relay.of(os.environ), reporter, hosts.names(os.environ))


def main() -> None:
    """Serve until told to stop."""
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
