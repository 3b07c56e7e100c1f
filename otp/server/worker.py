"""gunicorn's gevent worker, with connections of its own: nobody stops it, and all it refuses is JSON."""

import socket
from typing import Any

import gevent
from gunicorn.http.wsgi import FileWrapper, base_environ

from otp.server.connection import Connection, Service
from otp.server.connections import Connections
from otp.server.lifecycle import DrainingWorker
from otp.server.stream import FAIR_SHARE, Stream


class Worker(DrainingWorker):
    """Serves HTTP/1.1 to many clients, none of which has more of it than others."""

    alive: bool  # of gunicorn's, whose code says no types
    connections: Connections

    def run(self) -> None:
        """Serve until the arbiter has the worker stop."""
        # A little less than gunicorn accepts: beyond its own bound, new clients would wait for old ones.
        self.connections = Connections(self.worker_connections * 19 // 20)
        own = {"wsgi.multithread": True, "wsgi.url_scheme": "http", "wsgi.file_wrapper": _in_large_pieces}
        common = {**base_environ(self.cfg), **own}
        self._service = Service(self.wsgi, common, self.cfg, self.count_request, lambda: self.alive)
        gevent.spawn(self.connections.watch)
        super().run()

    def serve(self, place: Any, client: socket.socket, addr: Any) -> None:
        """Serve the connection `client`, accepted at `place`, which the caller closes."""
        stream = Stream(client, self.connections)
        try:
            Connection(stream, self._service, place, addr).serve()
        finally:
            stream.close()

    def let_idle_go(self) -> None:
        """Have the idle connections end, each after what has arrived on it."""
        self.connections.close_idle()

    def count_request(self) -> None:
        """A request begins, which may be the last one by gunicorn's setting `max_requests`."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False


def _in_large_pieces(file: Any, _: int = 0) -> FileWrapper:
    """The `wsgi.file_wrapper` of PEP 3333. Pieces of 8 KiB, as Werkzeug asks for, cost eight times the system calls."""
    return FileWrapper(file, FAIR_SHARE)
