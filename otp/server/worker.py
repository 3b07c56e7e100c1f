"""gunicorn's gevent worker, with refusals in JSON."""

import logging
import socket
from contextlib import suppress

from gunicorn.http.errors import ParseException

from errors import InvalidRequest, OtpError
from otp.server.lifecycle import DrainingWorker
from web.refusals import raw_refusal


class Worker(DrainingWorker):
    """Refuses in JSON what never reaches the application (it is no HTTP), where gunicorn would answer HTML."""

    def handle_error(self, req: object, client: socket.socket, addr: object, exc: BaseException) -> None:
        """Answer, whatever it was, and close the connection."""
        if not isinstance(exc, ParseException):
            logging.getLogger("otp").error("bug", extra={"error": type(exc).__name__, "at": "outside the application"})
        error = InvalidRequest() if isinstance(exc, ParseException) else OtpError()
        with suppress(OSError):
            client.sendall(raw_refusal(error))
