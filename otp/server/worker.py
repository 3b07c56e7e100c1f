"""A gevent worker with its own connections: slow clients cannot block it, and its error responses are JSON."""

import socket
from typing import Any

import gevent
from gunicorn.http.wsgi import FileWrapper, base_environ

from otp.server.connection import Connection, Service
from otp.server.connections import Connections
from otp.server.lifecycle import DrainingWorker
from otp.server.stream import FAIR_SHARE, Stream


class Worker(DrainingWorker):
    """Serves HTTP/1.1 to many clients in equal shares."""

    alive: bool  # from gunicorn, which has no types
    connections: Connections

    def run(self) -> None:
        """Serve until the arbiter stops the worker."""
        # A little less than gunicorn accepts: at its own bound, new clients would wait for old ones.
        self.connections = Connections(self.worker_connections * 19 // 20)
        own = {"wsgi.multithread": True, "wsgi.url_scheme": "http", "wsgi.file_wrapper": _file_wrapper}
        common = {**base_environ(self.cfg), **own}
        self._service = Service(self.wsgi, common, self.cfg, self.count_request, lambda: self.alive)
        gevent.spawn(self.connections.watch)
        super().run()

    def serve(self, place: Any, client: socket.socket, addr: Any) -> None:
        """Serve the connection `client`, accepted at the address `place`. The caller closes it."""
        stream = Stream(client, self.connections)
        try:
            Connection(stream, self._service, place, addr).serve()
        finally:
            stream.close()

    def close_idle(self) -> None:
        """Close the idle connections; requests that have arrived still get responses."""
        self.connections.close_idle()

    def count_request(self) -> None:
        """Count a request; gunicorn's setting `max_requests` may make it the last one."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False


def _file_wrapper(file: Any, _: int = 0) -> FileWrapper:
    """The `wsgi.file_wrapper` of PEP 3333, with large pieces: Werkzeug's 8 KiB need eight times the system calls."""
    return FileWrapper(file, FAIR_SHARE)
