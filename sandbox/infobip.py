"""A local Infobip: its 2FA operations over HTTP, and the messages it "sends" at GET /inbox.

python -m sandbox.infobip        SANDBOX_HOST (127.0.0.1), SANDBOX_PORT (3001)
"""

if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flask import Flask, Response, jsonify, request
from gevent.pywsgi import WSGIServer
from werkzeug.exceptions import HTTPException

from sandbox.model import ApiError, Application, Configuration, Message, Pin, Template
from sandbox.two_factor import TwoFactor

API_KEY = "sandbox-api-key"
APPLICATION_ID = "sandbox-application"
MESSAGE_ID = "sandbox-message"

# Wide, so that a person who tries things out meets the service's limits and not these.
SANDBOX_CONFIGURATION = Configuration(
    pin_attempts=10,
    pin_time_to_live="10m",
    allow_multiple_pin_verifications=False,
    verify_pin_limit="100/1s",
    send_pin_per_application_limit="100000/1d",
    send_pin_per_phone_number_limit="100/1d",
)


class Api:
    """The operations, each named after its operationId in Infobip's published contract."""

    def __init__(self, two_factor: TwoFactor, api_key: str) -> None:
        self._two_factor = two_factor
        self._authorization = f"App {api_key}"

    def authenticate(self) -> None:
        """Refuse whoever has no key. The inbox is open: it stands for the phones."""
        if request.path.startswith("/2fa/") and request.headers.get("Authorization") != self._authorization:
            raise ApiError(401, "UNAUTHORIZED", "Invalid login details")

    def send_2fa_pin_code_over_sms(self) -> dict[str, Any]:
        """Answer POST /2fa/2/pin."""
        body = _body("applicationId", "messageId", "to")
        return _sent(self._two_factor.send(body["applicationId"], body["messageId"], body["to"]))

    def resend_2fa_pin_code_over_sms(self, pin_id: str) -> dict[str, Any]:
        """Answer POST /2fa/2/pin/{pinId}/resend; its body is optional."""
        return _sent(self._two_factor.resend(pin_id))

    def verify_2fa_phone_number(self, pin_id: str) -> dict[str, Any]:
        """Answer POST /2fa/2/pin/{pinId}/verify."""
        pin, verdict = self._two_factor.verify(pin_id, _body("pin")["pin"])
        answer: dict[str, Any] = {"pinId": pin.pin_id, "msisdn": pin.to, "verified": verdict.verified}
        answer["attemptsRemaining"] = verdict.attempts_remaining
        return answer | ({"pinError": verdict.pin_error} if verdict.pin_error else {})

    def inbox(self) -> dict[str, Any]:
        """Answer GET /inbox: every message, newest first; `?to=14155552671` for those of one number."""
        to = request.args.get("to", "").strip().removeprefix("+")
        return {"messages": [_shown(m) for m in reversed(self._two_factor.messages) if to in ("", m.to)]}


def create_app(two_factor: TwoFactor, api_key: str = API_KEY) -> Flask:
    """The API over `two_factor`, for whoever has `api_key`."""
    app, api = Flask(__name__, static_folder=None), Api(two_factor, api_key)
    app.before_request(api.authenticate)
    app.post("/2fa/2/pin")(api.send_2fa_pin_code_over_sms)
    app.post("/2fa/2/pin/<pin_id>/resend")(api.resend_2fa_pin_code_over_sms)
    app.post("/2fa/2/pin/<pin_id>/verify")(api.verify_2fa_phone_number)
    app.get("/inbox")(api.inbox)
    app.register_error_handler(ApiError, _refusal)
    app.register_error_handler(HTTPException, _http_refusal)
    return app


def _body(*required: str) -> dict[str, str]:
    given = request.get_json(force=True, silent=True)
    body = given if isinstance(given, dict) else {}
    if missing := [name for name in required if not isinstance(body.get(name), str)]:
        raise ApiError(400, "BAD_REQUEST", "Bad request", **dict.fromkeys(missing, "must be a string"))
    return body


def _sent(pin: Pin) -> dict[str, Any]:
    return {
        "pinId": pin.pin_id,
        "to": pin.to,
        "ncStatus": "NC_DESTINATION_REACHABLE",
        "smsStatus": "MESSAGE_SENT",
    }


def _shown(message: Message) -> dict[str, Any]:
    return {
        "to": f"+{message.to}",
        "from": message.sender,
        "text": message.text,
        "pin": message.pin,
        "sentAt": message.sent_at,
    }


def _refusal(error: ApiError) -> Response:
    details: dict[str, Any] = {"messageId": error.message_id, "text": error.text}
    if error.validation_errors:
        details["validationErrors"] = error.validation_errors
    response: Response = jsonify(requestError={"serviceException": details})
    response.status_code = error.status
    return response


def _http_refusal(error: HTTPException) -> Response:
    return _refusal(ApiError(error.code or 500, error.name.upper().replace(" ", "_"), error.name))


def _print(message: Message) -> None:
    print(f"SMS to +{message.to}: {message.text}", flush=True)


def make_server(address: tuple[str, int], app: Callable[..., Any]) -> WSGIServer:
    """A server for `app`, listening. Answers leave at once (TCP_NODELAY), as Infobip's do."""
    server = WSGIServer(address, app, log=None, error_log=sys.stderr)
    server.init_socket()
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.start()
    return server


def _account(environment: Mapping[str, str]) -> tuple[Application, Template]:
    """The one application and template there are, with PINs as the service's settings say."""
    lifetime = environment.get("PIN_TIME_TO_LIVE") or SANDBOX_CONFIGURATION.pin_time_to_live
    length, pin_type = environment.get("PIN_LENGTH") or "6", environment.get("PIN_TYPE") or "NUMERIC"
    return (
        Application(APPLICATION_ID, "Sandbox", replace(SANDBOX_CONFIGURATION, pin_time_to_live=lifetime)),
        Template(MESSAGE_ID, APPLICATION_ID, pin_length=int(length), pin_type=pin_type),
    )


def main() -> None:
    """Serve until told to stop."""
    address = os.environ.get("SANDBOX_HOST", "127.0.0.1"), int(os.environ.get("SANDBOX_PORT", "3001"))
    two_factor = TwoFactor(deliver=_print)
    two_factor.add(*_account(os.environ))
    try:
        make_server(address, create_app(two_factor)).serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)
    except OSError as e:
        sys.exit(f"The sandbox cannot listen on {address[0]}:{address[1]}: {e.strerror}.")


if __name__ == "__main__":
    main()
